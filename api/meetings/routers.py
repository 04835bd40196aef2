"""The routers of this folder, for `api.main`."""

from api.meetings import routes, webhook

ROUTERS = (routes.router,)
WEBHOOKS = (webhook.router,)
"""Included without rate limits."""
