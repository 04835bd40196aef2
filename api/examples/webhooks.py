"""OpenAPI examples: a receiver of the platform's, and a message to it."""

from typing import Any

from api.examples.after_session import BOOKING_ID, ENDS_AT

_ENDPOINT = {
    "id": "b3f8a1d6-0e57-4c29-9d84-6a2c7e5f1b90",
    "url": "https://crm.platform.example/holdfast",
    "events": ["booking.accepted", "booking.completed"],
    "description": "The CRM",
    "is_enabled": True,
    "disabled_reason": None,
    "created_at": "2026-02-20T09:00:00Z",
    "updated_at": "2026-02-20T09:00:00Z",
}
_MESSAGE = {
    "id": "2d7c9e04-6b1f-4a38-8e52-0f9b3c1d7a65",
    "event": "booking.completed",
    "booking_id": BOOKING_ID,
    "status": "PENDING",
    "attempts": 1,
    "last_status": 500,
    "last_error": "status",
    "next_attempt_at": "2026-03-02T19:00:05Z",
    "created_at": "2026-03-02T19:00:00Z",
}

WEBHOOKS: dict[str, dict[str, Any]] = {
    "NewWebhook": {name: _ENDPOINT[name] for name in ("url", "events", "description")},
    "Replay": {"from": ENDS_AT, "until": "2026-03-03T00:00:00Z", "include_delivered": False},
    "Replayed": {"queued": 12},
    "Webhook": _ENDPOINT,
    "WebhookChange": {"is_enabled": False},
    "WebhookMessage": _MESSAGE,
    "WebhookMessagePage": {"data": [_MESSAGE], "next_cursor": None},
    "WebhookPage": {"data": [_ENDPOINT], "next_cursor": None},
    "WebhookWithSecret": _ENDPOINT | {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
}
