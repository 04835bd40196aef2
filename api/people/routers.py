"""The routers of this folder, for `api.main`."""

from api.people import instructors, password_reset, routes, suspensions

ROUTERS = (routes.router, password_reset.router, instructors.router, suspensions.router)
