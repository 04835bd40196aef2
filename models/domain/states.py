"""The states of bookings, sessions, payments, payouts, disputes and refunds, and every transition between them.

Only this table allows a transition; `docs/states.md` is generated from it.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar


class BookingStatus(StrEnum):
    PENDING = "PENDING"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    COMPLETED = "COMPLETED"
    NO_SHOW = "NO_SHOW"


class SessionStatus(StrEnum):
    SCHEDULED = "SCHEDULED"
    COMPLETION_REPORTED = "COMPLETION_REPORTED"
    """The instructor says that it took place, and the student can still object."""
    COMPLETED = "COMPLETED"
    NO_SHOW = "NO_SHOW"
    CANCELLED = "CANCELLED"


class PaymentStatus(StrEnum):
    """A payment exists once the student's card was authorized or declined: `PENDING` is held, `FAILED` is declined."""

    PENDING = "PENDING"
    CAPTURED = "CAPTURED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"
    FAILED = "FAILED"
    DISPUTED = "DISPUTED"


class PayoutStatus(StrEnum):
    PROCESSING = "PROCESSING"
    PAID = "PAID"
    FAILED = "FAILED"
    REVERSED = "REVERSED"


class DisputeStatus(StrEnum):
    """A cardholder's bank claims the money back. An inquiry is the same, before any money is withdrawn."""

    NEEDS_RESPONSE = "NEEDS_RESPONSE"
    UNDER_REVIEW = "UNDER_REVIEW"
    WON = "WON"
    LOST = "LOST"
    CLOSED = "CLOSED"
    """An inquiry that came to nothing."""


class RefundStatus(StrEnum):
    """A refund after a booking's end."""

    REQUESTED = "REQUESTED"
    """Ordered by an operator, possibly when it was not possible. Nothing is promised."""
    RESERVED = "RESERVED"
    """The amount is reserved for this refund, which is being requested from Stripe."""
    PENDING = "PENDING"
    """Stripe is processing it."""
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    """The student's bank returned it: the student is still owed the amount."""
    REFUSED = "REFUSED"
    """Stripe refused to make it: there is no such refund."""


State = BookingStatus | SessionStatus | PaymentStatus | PayoutStatus | DisputeStatus | RefundStatus
S = TypeVar("S", bound=State)

# From each state to those that may follow; `None` means "not created yet".
TRANSITIONS: Mapping[str, Mapping[State | None, frozenset[State]]] = {
    "BookingRequest": {
        None: frozenset({BookingStatus.PENDING}),
        BookingStatus.PENDING: frozenset(
            {
                BookingStatus.ACCEPTED,
                BookingStatus.REJECTED,
                BookingStatus.CANCELLED,
                BookingStatus.EXPIRED,
            }
        ),
        BookingStatus.ACCEPTED: frozenset({BookingStatus.COMPLETED, BookingStatus.NO_SHOW, BookingStatus.CANCELLED}),
    },
    "LiveSession": {
        None: frozenset({SessionStatus.SCHEDULED}),
        SessionStatus.SCHEDULED: frozenset(
            {
                SessionStatus.COMPLETION_REPORTED,
                SessionStatus.COMPLETED,
                SessionStatus.NO_SHOW,
                SessionStatus.CANCELLED,
            }
        ),
        SessionStatus.COMPLETION_REPORTED: frozenset(
            {SessionStatus.COMPLETED, SessionStatus.NO_SHOW, SessionStatus.CANCELLED}
        ),
    },
    "Payment": {
        None: frozenset({PaymentStatus.PENDING, PaymentStatus.FAILED}),
        PaymentStatus.PENDING: frozenset(
            {
                PaymentStatus.CAPTURED,
                PaymentStatus.PARTIALLY_REFUNDED,
                PaymentStatus.REFUNDED,
                # Charged already, and not transferred.
                PaymentStatus.DISPUTED,
            }
        ),
        PaymentStatus.CAPTURED: frozenset(
            {PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUNDED, PaymentStatus.DISPUTED}
        ),
        PaymentStatus.PARTIALLY_REFUNDED: frozenset({PaymentStatus.REFUNDED, PaymentStatus.DISPUTED}),
        # A bank may still claim money that a refund did not get to its cardholder.
        PaymentStatus.REFUNDED: frozenset({PaymentStatus.DISPUTED}),
        PaymentStatus.DISPUTED: frozenset(
            {PaymentStatus.PENDING, PaymentStatus.CAPTURED, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUNDED}
        ),
    },
    "InstructorPayout": {
        None: frozenset({PayoutStatus.PROCESSING}),
        PayoutStatus.PROCESSING: frozenset({PayoutStatus.PAID, PayoutStatus.FAILED, PayoutStatus.REVERSED}),
        PayoutStatus.PAID: frozenset({PayoutStatus.FAILED, PayoutStatus.REVERSED}),
        PayoutStatus.FAILED: frozenset({PayoutStatus.PROCESSING, PayoutStatus.PAID, PayoutStatus.REVERSED}),
    },
    "Dispute": {
        None: frozenset({DisputeStatus.NEEDS_RESPONSE}),
        DisputeStatus.NEEDS_RESPONSE: frozenset(
            {DisputeStatus.UNDER_REVIEW, DisputeStatus.WON, DisputeStatus.LOST, DisputeStatus.CLOSED}
        ),
        # An inquiry under review may become a dispute, which needs another response.
        DisputeStatus.UNDER_REVIEW: frozenset(
            {DisputeStatus.NEEDS_RESPONSE, DisputeStatus.WON, DisputeStatus.LOST, DisputeStatus.CLOSED}
        ),
    },
    "Refund": {
        None: frozenset({RefundStatus.REQUESTED}),
        RefundStatus.REQUESTED: frozenset({RefundStatus.RESERVED}),
        RefundStatus.RESERVED: frozenset(
            {RefundStatus.PENDING, RefundStatus.SUCCEEDED, RefundStatus.FAILED, RefundStatus.REFUSED}
        ),
        RefundStatus.PENDING: frozenset({RefundStatus.SUCCEEDED, RefundStatus.FAILED}),
        # For about a month, a bank may return a refund that it had accepted.
        RefundStatus.SUCCEEDED: frozenset({RefundStatus.FAILED}),
        RefundStatus.FAILED: frozenset({RefundStatus.PENDING, RefundStatus.SUCCEEDED}),
    },
}

_RECORD_BY_STATE_TYPE = {
    BookingStatus: "BookingRequest",
    SessionStatus: "LiveSession",
    PaymentStatus: "Payment",
    PayoutStatus: "InstructorPayout",
    DisputeStatus: "Dispute",
    RefundStatus: "Refund",
}

HOLDS_SLOT = frozenset({BookingStatus.PENDING, BookingStatus.ACCEPTED})
"""A booking with one of these statuses blocks its time for other bookings."""


def while_open(recorded: PaymentStatus | None) -> PaymentStatus | None:
    """What the workflow of an open booking has, for what is recorded of its payment.

    A charge that is disputed before its booking has ended is still held.
    """
    return PaymentStatus.PENDING if recorded is PaymentStatus.DISPUTED else recorded


class IllegalTransition(ValueError):
    """A transition that is not in the table."""


def record_of(state: State) -> str:
    """The record to which the state belongs, as named in `TRANSITIONS`."""
    return _RECORD_BY_STATE_TYPE[type(state)]


def is_allowed(current: State | None, to: State) -> bool:
    return to in TRANSITIONS[record_of(to)].get(current, frozenset())


def advance(current: S | None, to: S) -> S:
    """The new state. Raises `IllegalTransition` if the table has no such transition."""
    if not is_allowed(current, to):
        raise IllegalTransition(f"{type(to).__name__} cannot go from {current or 'nothing'} to {to}")
    return to
