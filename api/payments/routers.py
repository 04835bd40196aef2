"""The routers of this folder, for `api.main`."""

from api.payments import adjustments, disputes, ledger, payouts, stripe_webhooks

ROUTERS = (disputes.router, payouts.router, payouts.operator_router, ledger.router, adjustments.router)
WEBHOOKS = (stripe_webhooks.router,)
"""Included without rate limits."""
