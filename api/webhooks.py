"""Stripe's events: verified, then safe with Temporal, and only then answered with 200. Temporal is the inbox."""

import logging
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, Field, ValidationError
from stripe import SignatureVerificationError, WebhookSignature

from api.problems import Kind, Problem, declared, unavailable
from api.saga import Closed, Unreachable, WithSaga
from api.settings import WithSettings
from models.messages import PaymentEvent

router = APIRouter(prefix="/v1/stripe", tags=["stripe"])
log = logging.getLogger("holdfast.api")

_TOLERANCE_SECONDS = 300
"""Stripe's own default ("Verify webhook signatures manually"): an older event may be a replay."""

_OF_BOOKINGS = frozenset(
    {
        "payment_intent.amount_capturable_updated",
        "payment_intent.payment_failed",
        "payment_intent.canceled",
        "checkout.session.expired",
    }
)


class _Event(BaseModel):
    """What is read of an event. It is only a reason to look: what is true is asked of Stripe."""

    id: str = Field(max_length=255)
    type: str = Field(max_length=255)
    data: Any = None

    @property
    def booking_id(self) -> UUID | None:
        """`None` for what is not about a booking: other programs may use the same Stripe account."""
        try:
            return UUID(self.data["object"]["metadata"]["booking_id"])
        except (KeyError, TypeError, ValueError, AttributeError):
            return None


@router.post(
    "/webhook",
    operation_id="receiveStripeEvent",
    responses=declared(
        Kind.SIGNATURE_INVALID, Kind.CONTENT_TOO_LARGE, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE
    ),
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}},
)
async def receive(
    request: Request,
    saga: WithSaga,
    settings: WithSettings,
    signature: Annotated[str | None, Header(alias="Stripe-Signature")] = None,
) -> dict[str, Any]:
    """Called by Stripe. Events may come twice and in any order."""
    event = _verified(await request.body(), signature, settings.door.webhook_secrets)
    booking_id = event.booking_id
    if event.type not in _OF_BOOKINGS or booking_id is None:
        return {"received": True}
    try:
        await saga.tell(booking_id, PaymentEvent(event_id=event.id, type=event.type))
    except Closed:
        log.info("event %s %s came for booking %s, which is not open", event.id, event.type, booking_id)
    except Unreachable as silence:
        # Stripe sends it again, for up to three days.
        raise unavailable("The event could not be handed on; send it again.") from silence
    return {"received": True}


def _verified(body: bytes, signature: str | None, secrets: tuple[str, ...]) -> _Event:
    """Raises the 400 `Problem`, without saying what exactly did not fit."""
    if not any(_is_signed(body, signature, secret) for secret in secrets):
        raise Problem(Kind.SIGNATURE_INVALID, "The signature does not fit the body, or is too old.")
    try:
        return _Event.model_validate_json(body)
    except ValidationError as error:
        raise Problem(Kind.SIGNATURE_INVALID, "The body is not an event.") from error


def _is_signed(body: bytes, signature: str | None, secret: str) -> bool:
    try:
        return bool(WebhookSignature.verify_header(body, signature, secret, _TOLERANCE_SECONDS))
    except (SignatureVerificationError, UnicodeDecodeError):
        return False
