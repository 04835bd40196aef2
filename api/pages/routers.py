"""The routers of the pages. A page for a role comes before the pages for anyone if their paths overlap."""

from api.pages import (
    account,
    assets,
    bookings,
    decisions,
    earnings,
    home,
    identity,
    instructors,
    links,
    offerings,
    order,
    policies,
    preferences,
    recovery,
    reference,
    rescheduling,
    returns,
    sign_in,
    sign_up,
    teaching,
    today,
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
    account.router,
    order.router,
    bookings.router,
    decisions.router,
    rescheduling.router,
    reference.router,
    today.router,
    teaching.router,
    earnings.router,
)
"""Left out with `HOLDFAST_PAGES=off`."""
MAILED = recovery.mailed
"""Where mails lead to a form. Always there, as are the next."""
STATIC = (returns.router, assets.router)
