"""The states of a booking, its session, its payment and its payout, and every move between them.

This table is the only place where a move is allowed; `docs/states.md` is drawn from it.
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
    COMPLETED = "COMPLETED"
    NO_SHOW = "NO_SHOW"
    CANCELLED = "CANCELLED"


class PaymentStatus(StrEnum):
    """A payment exists once Stripe has answered the student's card: `PENDING` is held, `FAILED` is refused."""

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
    """A card holder's bank wants the money back. An inquiry is the same, without the money being taken yet."""

    NEEDS_RESPONSE = "NEEDS_RESPONSE"
    UNDER_REVIEW = "UNDER_REVIEW"
    WON = "WON"
    LOST = "LOST"
    CLOSED = "CLOSED"
    """An inquiry that came to nothing."""


class RefundStatus(StrEnum):
    """Money that goes back after a booking's end."""

    REQUESTED = "REQUESTED"
    """An operator wants it, or wanted it when it was not possible; nothing is promised."""
    RESERVED = "RESERVED"
    """No other refund can take it, and Stripe is being asked."""
    PENDING = "PENDING"
    """Stripe has it under way."""
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    """The student's bank sent it back: the student is still owed it."""
    REFUSED = "REFUSED"
    """Stripe would not make it: there is no such refund."""


State = BookingStatus | SessionStatus | PaymentStatus | PayoutStatus | DisputeStatus | RefundStatus
S = TypeVar("S", bound=State)

# From each state to those that may follow; `None` is "not there yet".
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
        SessionStatus.SCHEDULED: frozenset({SessionStatus.COMPLETED, SessionStatus.NO_SHOW, SessionStatus.CANCELLED}),
    },
    "Payment": {
        None: frozenset({PaymentStatus.PENDING, PaymentStatus.FAILED}),
        PaymentStatus.PENDING: frozenset(
            {PaymentStatus.CAPTURED, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUNDED}
        ),
        PaymentStatus.CAPTURED: frozenset(
            {PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUNDED, PaymentStatus.DISPUTED}
        ),
        PaymentStatus.PARTIALLY_REFUNDED: frozenset({PaymentStatus.REFUNDED, PaymentStatus.DISPUTED}),
        # A bank may take back what a refund did not bring to its card holder.
        PaymentStatus.REFUNDED: frozenset({PaymentStatus.DISPUTED}),
        PaymentStatus.DISPUTED: frozenset(
            {PaymentStatus.CAPTURED, PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUNDED}
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
        # A bank may send back what it had taken, for about a month.
        RefundStatus.SUCCEEDED: frozenset({RefundStatus.FAILED}),
        RefundStatus.FAILED: frozenset({RefundStatus.PENDING, RefundStatus.SUCCEEDED}),
    },
}

_TABLE_OF = {
    BookingStatus: "BookingRequest",
    SessionStatus: "LiveSession",
    PaymentStatus: "Payment",
    PayoutStatus: "InstructorPayout",
    DisputeStatus: "Dispute",
    RefundStatus: "Refund",
}

HOLDS_SLOT = frozenset({BookingStatus.PENDING, BookingStatus.ACCEPTED})
"""A booking in one of these keeps its time from being booked again."""


class IllegalTransition(ValueError):
    """A move that the transition table does not have."""


def record_of(state: State) -> str:
    """The record whose state it is, as `TRANSITIONS` names it."""
    return _TABLE_OF[type(state)]


def is_allowed(current: State | None, to: State) -> bool:
    return to in TRANSITIONS[record_of(to)].get(current, frozenset())


def advance(current: S | None, to: S) -> S:
    """The new state. Raises `IllegalTransition` when the table has no such move."""
    if not is_allowed(current, to):
        raise IllegalTransition(f"{type(to).__name__} cannot go from {current or 'nothing'} to {to}")
    return to
