"""The routers of this folder, for `api.main`."""

from api.reconciliation import routes

ROUTERS = (routes.router,)
