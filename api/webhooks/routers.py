"""The routers of this folder, for `api.main`."""

from api.webhooks import routes

ROUTERS = (routes.router,)
