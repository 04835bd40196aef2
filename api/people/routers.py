"""The routers of this folder, for `api.main`."""

from api.people import account, instructors, password_reset, routes, suspensions, verification

ROUTERS = (
    routes.router,
    password_reset.router,
    verification.router,
    account.router,
    instructors.router,
    suspensions.router,
)
