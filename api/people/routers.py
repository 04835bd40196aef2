"""The routers of this folder, for `api.main`."""

from api.people import (
    account,
    blocked_times,
    export,
    instructors,
    password_reset,
    routes,
    service_tokens,
    suspensions,
    verification,
)

ROUTERS = (
    routes.router,
    password_reset.router,
    verification.router,
    account.router,
    service_tokens.router,
    blocked_times.router,
    instructors.router,
    suspensions.router,
    export.router,
)
