"""Stripe's events: verified, then safe with Temporal, and only then answered with 200. Temporal is the inbox."""

import logging
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, Field, ValidationError
from stripe import SignatureVerificationError, WebhookSignature

from api import accounts
from api.database import WithDatabase
from api.dispute_desk import WithDisputes
from api.onboarding import OnboardingUnanswered, WithOnboarding
from api.problems import Kind, Problem, declared, unavailable
from api.refund_desk import WithRefunds
from api.saga import Closed, SagaError, Unreachable, WithSaga
from api.settings import WithSettings
from models.disputes import DisputeEvent
from models.messages import PaymentEvent
from models.onboarding import AccountEvent
from models.refunds import RefundEvent

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
_OF_DISPUTES = frozenset(
    {
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    }
)
_OF_REFUNDS = frozenset({"refund.updated", "refund.failed", "charge.refund.updated"})
_OF_ACCOUNTS = frozenset({"account.updated", "capability.updated"})

_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
}


class _Event(BaseModel):
    """What is read of an event. It is only a reason to look: what is true is asked of Stripe."""

    id: str = Field(max_length=255)
    type: str = Field(max_length=255)
    data: Any = None
    account: str | None = Field(default=None, max_length=255)
    """The connected account that it is about."""

    @property
    def object_id(self) -> str | None:
        try:
            return str(self.data["object"]["id"])
        except (KeyError, TypeError):
            return None

    @property
    def booking_id(self) -> UUID | None:
        """`None` for what is not about a booking: other programs may use the same Stripe account."""
        return self._named("booking_id")

    @property
    def refund_id(self) -> UUID | None:
        """`None` for a refund that no operator ordered here."""
        return self._named("refund_id")

    def _named(self, name: str) -> UUID | None:
        try:
            return UUID(self.data["object"]["metadata"][name])
        except (KeyError, TypeError, ValueError, AttributeError):
            return None


@router.post(
    "/webhook",
    operation_id="receiveStripeEvent",
    responses=declared(
        Kind.SIGNATURE_INVALID, Kind.CONTENT_TOO_LARGE, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE
    ),
    openapi_extra=_BODY,
)
async def receive(
    request: Request,
    saga: WithSaga,
    disputes: WithDisputes,
    refunds: WithRefunds,
    settings: WithSettings,
    signature: Annotated[str | None, Header(alias="Stripe-Signature")] = None,
) -> dict[str, Any]:
    """Called by Stripe. Events may come twice and in any order."""
    event = _verified(await request.body(), signature, settings.door.webhook_secrets)
    if event.type in _OF_DISPUTES and event.object_id:
        try:
            await disputes.tell(event.object_id, DisputeEvent(event_id=event.id, type=event.type))
        except SagaError as silence:
            raise unavailable("The event could not be handed on; send it again.") from silence
        return {"received": True}
    if event.type in _OF_REFUNDS and event.refund_id:
        try:
            await refunds.tell(event.refund_id, RefundEvent(event_id=event.id, type=event.type))
        except SagaError as silence:
            raise unavailable("The event could not be handed on; send it again.") from silence
        return {"received": True}
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


@router.post(
    "/connect-webhook",
    operation_id="receiveConnectEvent",
    responses=declared(
        Kind.SIGNATURE_INVALID, Kind.CONTENT_TOO_LARGE, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE
    ),
    openapi_extra=_BODY,
)
async def receive_of_connected_account(
    request: Request,
    onboarding: WithOnboarding,
    database: WithDatabase,
    settings: WithSettings,
    signature: Annotated[str | None, Header(alias="Stripe-Signature")] = None,
) -> dict[str, Any]:
    """Called by Stripe for instructors' accounts. Events may come twice and in any order."""
    event = _verified(await request.body(), signature, settings.door.connect_webhook_secrets)
    if event.type not in _OF_ACCOUNTS or event.account is None:
        return {"received": True}
    async with database.reading() as session:
        instructor_id = await accounts.instructor_with(session, event.account)
    if instructor_id is None:
        # Another program's, or so new that it is not written down: then it is looked up after that.
        log.info("event %s %s came for an account that nobody here has", event.id, event.type)
        return {"received": True}
    try:
        await onboarding.tell(instructor_id, AccountEvent(event_id=event.id, type=event.type))
    except OnboardingUnanswered as silence:
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
