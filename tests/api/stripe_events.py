"""Signed Stripe webhook requests."""

import json
from uuid import UUID, uuid4

import httpx
from stripe import WebhookSignature

from models.domain.stripe_events import BOOKING_METADATA
from tests.api.world import CONNECT_WEBHOOK_KEY, JSON, WEBHOOK_KEY

AUTHORIZED = "payment_intent.amount_capturable_updated"
PATH = "/v1/stripe/webhook"
CONNECT_PATH = "/v1/stripe/connect-webhook"


def event(type_: str = AUTHORIZED, booking_id: UUID | str | None = None) -> JSON:
    metadata = {BOOKING_METADATA: str(booking_id), "refund_id": str(UUID(int=1))} if booking_id else {}
    return {
        "id": f"evt_{uuid4().hex}",
        "object": "event",
        "livemode": False,
        "type": type_,
        "data": {"object": {"id": "pi_1", "payment_intent": "pi_1", "metadata": metadata}},
    }


def account_event(account_id: str | None, type_: str = "account.updated") -> JSON:
    return {
        "id": f"evt_{uuid4().hex}",
        "object": "event",
        "livemode": False,
        "type": type_,
        "account": account_id,
        "data": {"object": {"id": account_id, "object": "account"}},
    }


def thin_event(account_id: str, type_: str) -> JSON:
    return {
        "id": f"evt_test_{uuid4().hex}",
        "object": "v2.core.event",
        "livemode": False,
        "type": type_,
        "created": "2026-03-02T17:30:00.000Z",
        "related_object": {"id": account_id, "type": "v2.core.account", "url": f"/v2/core/accounts/{account_id}"},
    }


async def send_connect(client: httpx.AsyncClient, event: JSON, key: str = CONNECT_WEBHOOK_KEY) -> httpx.Response:
    body = json.dumps(event)
    signature = WebhookSignature.generate_signature_header(body, key)
    return await client.post(CONNECT_PATH, content=body, headers={"Stripe-Signature": signature})


async def send(
    client: httpx.AsyncClient, event: JSON | str, key: str = WEBHOOK_KEY, at: int | None = None
) -> httpx.Response:
    body = event if isinstance(event, str) else json.dumps(event)
    signature = WebhookSignature.generate_signature_header(body, key, at)
    return await client.post(PATH, content=body, headers={"Stripe-Signature": signature})
