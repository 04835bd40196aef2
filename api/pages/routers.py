"""The routers of the pages. A page for a role comes before the pages for anyone if their paths overlap."""

from api.pages import (
    assets,
    attention,
    disputes,
    figures,
    home,
    identity,
    instructors,
    links,
    offerings,
    operator_bookings,
    operator_decisions,
    people,
    policies,
    preferences,
    reconciliations,
    recovery,
    reference,
    returns,
    sign_in,
    sign_up,
)

ROUTERS = (
    home.router,
    identity.router,
    sign_in.router,
    sign_up.router,
    recovery.router,
    preferences.router,
    offerings.router,
    instructors.router,
    policies.router,
    links.router,
    reference.router,
    attention.router,
    operator_bookings.router,
    operator_decisions.router,
    disputes.router,
    reconciliations.router,
    people.router,
    figures.router,
)
"""Left out with `HOLDFAST_PAGES=off`."""
MAILED = recovery.mailed
"""Where mails lead to a form. Always there, as are the next."""
STATIC = (returns.router, assets.router)
