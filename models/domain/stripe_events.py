"""The Stripe events that Holdfast handles, and what each type is about. An event is only a reason to look."""

from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from models.domain.base import Value

BOOKING_METADATA = "bookingRequestId"
"""The metadata key under which PaymentIntents, Checkout Sessions and refunds name their booking."""

BOOKING_EVENTS = frozenset(
    {
        "payment_intent.amount_capturable_updated",
        "payment_intent.payment_failed",
        "payment_intent.canceled",
        "payment_intent.processing",
        "payment_intent.succeeded",
        "checkout.session.expired",
    }
)
DISPUTE_EVENTS = frozenset(
    {
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    }
)
REFUND_FAILED = "refund.failed"
REFUND_EVENTS = frozenset({"refund.created", "refund.updated", REFUND_FAILED, "charge.refund.updated"})
FRAUD_WARNING_EVENTS = frozenset({"radar.early_fraud_warning.created", "radar.early_fraud_warning.updated"})
ACCOUNT_EVENTS = frozenset({"account.updated", "capability.updated"})
DEAUTHORIZED = "account.application.deauthorized"
"""The account is no longer connected. Taken if it arrives, and never listed: the account's events can no longer be."""
THIN_EVENTS = frozenset(
    {
        "v2.core.account[requirements].updated",
        "v2.core.account[configuration.recipient].capability_status_updated",
        "v2.core.account.closed",
    }
)
"""Types handled of Accounts v2. Thin events are the platform's own, and name the account that they are about."""
PAYOUT_EVENTS = frozenset(
    {
        "payout.created",
        "payout.updated",
        "payout.paid",
        "payout.failed",
        "payout.canceled",
        "payout.reconciliation_completed",
    }
)
PLATFORM_EVENTS = BOOKING_EVENTS | DISPUTE_EVENTS | REFUND_EVENTS | FRAUD_WARNING_EVENTS
"""Types handled for the platform's own account."""
CONNECT_EVENTS = ACCOUNT_EVENTS | PAYOUT_EVENTS
"""Types handled for instructors' accounts, whatever API created them."""


class StripeEvent(Value):
    """The parts of an event that are used."""

    id: str
    type: str
    account: str | None = None
    """The connected account that the event is about; `None` for the platform's own."""
    object_id: str | None = None
    booking_id: UUID | None = None
    """`None` if the event is not about a booking: other programs may use the same Stripe account."""
    refund_id: UUID | None = None
    """The refund id in a refund's metadata, where anyone can write one."""
    payment_intent_id: str | None = None
    """The payment that a refund returns, or that a bank warns of."""
    is_capture: bool = False
    """A hold was captured, which the booking has done itself or notices at its end."""

    @classmethod
    def of(cls, id: str, type: str, account: str | None, data: Any) -> Self:
        """`data` is the event's `data`, of any shape."""
        candidate = data.get("object") if isinstance(data, dict) else None
        stripe_object = candidate if isinstance(candidate, dict) else {}
        object_id, payment_intent = stripe_object.get("id"), stripe_object.get("payment_intent")
        return cls(
            id=id,
            type=type,
            account=account,
            object_id=str(object_id) if object_id else None,
            booking_id=id_in(stripe_object.get("metadata"), BOOKING_METADATA),
            refund_id=id_in(stripe_object.get("metadata"), "refund_id"),
            payment_intent_id=payment_intent if isinstance(payment_intent, str) else None,
            is_capture=type == "payment_intent.succeeded" and stripe_object.get("capture_method") == "manual",
        )

    @property
    def is_handled(self) -> bool:
        if self.is_capture:
            return False
        if self.account is None:
            return self.type in PLATFORM_EVENTS
        return self.type in CONNECT_EVENTS | THIN_EVENTS or self.type == DEAUTHORIZED


class RoutingResult(StrEnum):
    """What happened to an event."""

    ROUTED = "routed"
    NOT_OURS = "not_ours"
    CLOSED = "closed"
    """The booking is closed, or never existed."""


def id_in(metadata: Any, name: str) -> UUID | None:
    """An id of ours in an object's metadata. Anyone who uses the Stripe account can write one there."""
    try:
        return UUID(metadata[name])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
