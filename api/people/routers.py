"""The routers of this folder, for `api.main`."""

from api.people import account, instructors, password_reset, routes

ROUTERS = (routes.router, password_reset.router, account.router, instructors.router)
