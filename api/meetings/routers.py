"""The routers of this folder, for `api.main`."""

from api.meetings import recordings, routes, webhook

ROUTERS = (routes.router, recordings.router)
WEBHOOKS = (webhook.router,)
"""Included without rate limits."""
