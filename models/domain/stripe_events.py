"""Stripe's events as Holdfast takes them, and what each type is about. An event is only a reason to look."""

from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from models.domain.base import Value

OF_BOOKINGS = frozenset(
    {
        "payment_intent.amount_capturable_updated",
        "payment_intent.payment_failed",
        "payment_intent.canceled",
        "checkout.session.expired",
    }
)
OF_DISPUTES = frozenset(
    {
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
    }
)
OF_REFUNDS = frozenset({"refund.created", "refund.updated", "refund.failed", "charge.refund.updated"})
OF_ACCOUNTS = frozenset({"account.updated", "capability.updated"})
OF_PAYOUTS = frozenset(
    {
        "payout.created",
        "payout.updated",
        "payout.paid",
        "payout.failed",
        "payout.canceled",
        "payout.reconciliation_completed",
    }
)
OF_PLATFORM = OF_BOOKINGS | OF_DISPUTES | OF_REFUNDS
"""What is taken of the platform's own account."""
OF_CONNECTED = OF_ACCOUNTS | OF_PAYOUTS
"""What is taken of instructors' accounts."""


class StripeEvent(Value):
    """As much of an event as is read."""

    id: str
    type: str
    account: str | None = None
    """The connected account that it is about; none for the platform's own."""
    object_id: str | None = None
    booking_id: UUID | None = None
    """None for what is not about a booking: other programs may use the same Stripe account."""
    refund_id: UUID | None = None
    """Ours; none for a refund that no operator ordered here."""
    payment_intent_id: str | None = None
    """Of what a refund gives back."""

    @classmethod
    def of(cls, id: str, type: str, account: str | None, data: Any) -> Self:
        """`data` is the event's, of whatever shape."""
        found = data.get("object") if isinstance(data, dict) else None
        thing = found if isinstance(found, dict) else {}
        object_id, payment_intent = thing.get("id"), thing.get("payment_intent")
        return cls(
            id=id,
            type=type,
            account=account,
            object_id=str(object_id) if object_id else None,
            booking_id=_id_in(thing.get("metadata"), "booking_id"),
            refund_id=_id_in(thing.get("metadata"), "refund_id"),
            payment_intent_id=payment_intent if isinstance(payment_intent, str) else None,
        )

    @property
    def is_taken(self) -> bool:
        return self.type in (OF_PLATFORM if self.account is None else OF_CONNECTED)


class RoutingResult(StrEnum):
    """What became of an event."""

    ROUTED = "routed"
    NOT_OURS = "not_ours"
    CLOSED = "closed"
    """Its booking is over, or was never there."""


def _id_in(metadata: Any, name: str) -> UUID | None:
    try:
        return UUID(metadata[name])
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
