"""Who is notified of what, and when. One table decides it for every transition of a booking's records."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from models.domain.proposals import ProposalStatus
from models.domain.states import (
    HOLDS_SLOT,
    TRANSITIONS,
    BookingStatus,
    IllegalTransition,
    PaymentStatus,
    PayoutStatus,
    RefundStatus,
    SessionStatus,
    State,
    record_of,
)


class Recipient(StrEnum):
    STUDENT = "student"
    INSTRUCTOR = "instructor"


class NotificationKind(StrEnum):
    """What a person is notified of. The text is in the template of the same name."""

    BOOKING_RECEIVED = "booking_received"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNPAID = "unpaid"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    NO_SHOW = "no_show"
    REFUNDED = "refunded"
    REFUND_FAILED = "refund_failed"
    NO_SHOW_REPORTED = "no_show_reported"
    COMPLETION_REPORTED = "completion_reported"
    UNDER_REVIEW = "under_review"
    RESCHEDULE_PROPOSED = "reschedule_proposed"
    RESCHEDULE_DECLINED = "reschedule_declined"
    RESCHEDULE_WITHDRAWN = "reschedule_withdrawn"
    RESCHEDULED = "rescheduled"
    REMINDER_A_DAY = "reminder_a_day"
    REMINDER_15_MINUTES = "reminder_15_minutes"
    COMPLETION_DUE = "completion_due"
    PAYMENT_RENEWAL = "payment_renewal"
    PAYMENT_RENEWED = "payment_renewed"
    PAYOUT_PAID = "payout_paid"
    PAYOUT_FAILED = "payout_failed"
    PASSWORD_RESET = "password_reset"  # noqa: S105 - not a password
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - not a password
    ADDRESS_VERIFICATION = "address_verification"
    OPERATOR_DIGEST = "operator_digest"


class Notification(NamedTuple):
    notification: NotificationKind
    recipient: Recipient


Move = tuple[State | None, State | None]
"""A transition, as (before, after). `None` means "not created yet" before, and "deleted" after."""

_NOBODY: tuple[Notification, ...] = ()
_SENT_WITH_BOOKING = _NOBODY
"""The booking's own transition, made in the same database transaction, sends the notification."""
_SENT_WITH_REFUND = _NOBODY
"""The refund's own transition sends it."""
_NOT_YET_USED = _NOBODY
"""No step makes this transition yet."""


def _student(notification: NotificationKind) -> tuple[Notification, ...]:
    return (Notification(notification, Recipient.STUDENT),)


def _instructor(notification: NotificationKind) -> tuple[Notification, ...]:
    return (Notification(notification, Recipient.INSTRUCTOR),)


def _both(notification: NotificationKind) -> tuple[Notification, ...]:
    return tuple(Notification(notification, recipient) for recipient in Recipient)


NOTIFICATIONS: Mapping[str, Mapping[Move, tuple[Notification, ...]]] = {
    "BookingRequest": {
        (None, BookingStatus.PENDING): _NOBODY,  # the student is on the Checkout page
        (BookingStatus.PENDING, None): _student(NotificationKind.UNPAID),
        (BookingStatus.PENDING, BookingStatus.ACCEPTED): _both(NotificationKind.APPROVED),
        (BookingStatus.PENDING, BookingStatus.REJECTED): _student(NotificationKind.REJECTED),
        (BookingStatus.PENDING, BookingStatus.EXPIRED): _both(NotificationKind.EXPIRED),
        (BookingStatus.PENDING, BookingStatus.CANCELLED): _both(NotificationKind.CANCELLED),
        (BookingStatus.ACCEPTED, BookingStatus.CANCELLED): _both(NotificationKind.CANCELLED),
        (BookingStatus.ACCEPTED, BookingStatus.COMPLETED): _both(NotificationKind.COMPLETED),
        (BookingStatus.ACCEPTED, BookingStatus.NO_SHOW): _both(NotificationKind.NO_SHOW),
    },
    "LiveSession": {
        (None, SessionStatus.SCHEDULED): _SENT_WITH_BOOKING,
        (SessionStatus.SCHEDULED, SessionStatus.COMPLETION_REPORTED): _both(NotificationKind.COMPLETION_REPORTED),
        (SessionStatus.COMPLETION_REPORTED, SessionStatus.COMPLETED): _SENT_WITH_BOOKING,
        (SessionStatus.COMPLETION_REPORTED, SessionStatus.NO_SHOW): _SENT_WITH_BOOKING,
        (SessionStatus.COMPLETION_REPORTED, SessionStatus.CANCELLED): _SENT_WITH_BOOKING,
        (SessionStatus.SCHEDULED, SessionStatus.COMPLETED): _SENT_WITH_BOOKING,
        (SessionStatus.SCHEDULED, SessionStatus.NO_SHOW): _SENT_WITH_BOOKING,
        (SessionStatus.SCHEDULED, SessionStatus.CANCELLED): _SENT_WITH_BOOKING,
    },
    "Payment": {
        (None, PaymentStatus.PENDING): _both(NotificationKind.BOOKING_RECEIVED),
        (None, PaymentStatus.FAILED): _SENT_WITH_BOOKING,
        (PaymentStatus.PENDING, PaymentStatus.CAPTURED): _SENT_WITH_BOOKING,
        (PaymentStatus.PENDING, PaymentStatus.PARTIALLY_REFUNDED): _SENT_WITH_BOOKING,
        (PaymentStatus.PENDING, PaymentStatus.REFUNDED): _SENT_WITH_BOOKING,
        (PaymentStatus.PENDING, PaymentStatus.DISPUTED): _NOT_YET_USED,
        (PaymentStatus.CAPTURED, PaymentStatus.PARTIALLY_REFUNDED): _SENT_WITH_REFUND,
        (PaymentStatus.CAPTURED, PaymentStatus.REFUNDED): _SENT_WITH_REFUND,
        (PaymentStatus.CAPTURED, PaymentStatus.DISPUTED): _NOT_YET_USED,
        (PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.REFUNDED): _SENT_WITH_REFUND,
        (PaymentStatus.PARTIALLY_REFUNDED, PaymentStatus.DISPUTED): _NOT_YET_USED,
        (PaymentStatus.REFUNDED, PaymentStatus.DISPUTED): _NOT_YET_USED,
        (PaymentStatus.DISPUTED, PaymentStatus.PENDING): _NOT_YET_USED,
        (PaymentStatus.DISPUTED, PaymentStatus.CAPTURED): _NOT_YET_USED,
        (PaymentStatus.DISPUTED, PaymentStatus.PARTIALLY_REFUNDED): _NOT_YET_USED,
        (PaymentStatus.DISPUTED, PaymentStatus.REFUNDED): _NOT_YET_USED,
    },
    "InstructorPayout": {
        (None, PayoutStatus.PROCESSING): _SENT_WITH_BOOKING,
        (PayoutStatus.PROCESSING, PayoutStatus.PAID): _instructor(NotificationKind.PAYOUT_PAID),
        (PayoutStatus.PROCESSING, PayoutStatus.FAILED): _instructor(NotificationKind.PAYOUT_FAILED),
        (PayoutStatus.PROCESSING, PayoutStatus.REVERSED): _NOT_YET_USED,
        (PayoutStatus.PAID, PayoutStatus.FAILED): _instructor(NotificationKind.PAYOUT_FAILED),
        (PayoutStatus.PAID, PayoutStatus.REVERSED): _NOT_YET_USED,
        (PayoutStatus.FAILED, PayoutStatus.PROCESSING): _NOBODY,
        (PayoutStatus.FAILED, PayoutStatus.PAID): _instructor(NotificationKind.PAYOUT_PAID),
        (PayoutStatus.FAILED, PayoutStatus.REVERSED): _NOT_YET_USED,
    },
    "Refund": {
        (None, RefundStatus.REQUESTED): _NOBODY,
        (RefundStatus.REQUESTED, RefundStatus.RESERVED): _NOBODY,
        (RefundStatus.RESERVED, RefundStatus.REFUSED): _NOBODY,
        (RefundStatus.RESERVED, RefundStatus.PENDING): _both(NotificationKind.REFUNDED),
        (RefundStatus.RESERVED, RefundStatus.SUCCEEDED): _both(NotificationKind.REFUNDED),
        (RefundStatus.RESERVED, RefundStatus.FAILED): _student(NotificationKind.REFUND_FAILED),
        (RefundStatus.PENDING, RefundStatus.SUCCEEDED): _NOBODY,  # notified when it was sent
        (RefundStatus.PENDING, RefundStatus.FAILED): _student(NotificationKind.REFUND_FAILED),
        (RefundStatus.SUCCEEDED, RefundStatus.FAILED): _student(NotificationKind.REFUND_FAILED),
        (RefundStatus.FAILED, RefundStatus.PENDING): _student(NotificationKind.REFUNDED),
        (RefundStatus.FAILED, RefundStatus.SUCCEEDED): _student(NotificationKind.REFUNDED),
    },
    # Operators see disputes in their list; the two sides get no mail about them.
    "Dispute": {(before, after): _NOBODY for before, states in TRANSITIONS["Dispute"].items() for after in states},
}

ON_RESCHEDULING = _both(NotificationKind.RESCHEDULED)
"""No state changes, only the session's time."""

ABOUT_PROPOSALS = {
    ProposalStatus.OPEN: _both(NotificationKind.RESCHEDULE_PROPOSED),
    ProposalStatus.DECLINED: _both(NotificationKind.RESCHEDULE_DECLINED),
    ProposalStatus.WITHDRAWN: _both(NotificationKind.RESCHEDULE_WITHDRAWN),
    ProposalStatus.ACCEPTED: ON_RESCHEDULING,
}
"""Enqueued by the API, except for an acceptance, which the booking's workflow decides."""

ON_NO_SHOW_REPORTED = _both(NotificationKind.NO_SHOW_REPORTED)
"""No state changes yet."""
ON_REVIEW = _both(NotificationKind.UNDER_REVIEW)
"""No state changes: an operator has to decide how the session went."""

ON_RENEWAL = _both(NotificationKind.PAYMENT_RENEWAL)
"""The student has to pay again, since the hold does not last, or has ended."""
ON_RENEWAL_REMINDER = _student(NotificationKind.PAYMENT_RENEWAL)
ON_RENEWED = _both(NotificationKind.PAYMENT_RENEWED)

BEFORE_THE_SESSION = {
    NotificationKind.REMINDER_A_DAY: timedelta(days=1),
    NotificationKind.REMINDER_15_MINUTES: timedelta(minutes=15),
}
ABOUT_PAYOUTS = frozenset({NotificationKind.PAYOUT_PAID, NotificationKind.PAYOUT_FAILED})
"""Not about a single booking: one mail per payout, however many bookings it pays."""
ABOUT_THE_ACCOUNT = frozenset(
    {NotificationKind.PASSWORD_RESET, NotificationKind.PASSWORD_CHANGED, NotificationKind.ADDRESS_VERIFICATION}
)
"""Not about a booking either; the API enqueues them itself."""
ABOUT_AN_OPEN_REPORT = frozenset(
    {
        NotificationKind.COMPLETION_DUE,
        NotificationKind.NO_SHOW_REPORTED,
        NotificationKind.COMPLETION_REPORTED,
        NotificationKind.UNDER_REVIEW,
    }
)
"""They say what happens by a deadline, so they are void once the booking is closed."""
SCHEDULED = frozenset({*BEFORE_THE_SESSION, NotificationKind.COMPLETION_DUE})
"""Enqueued in advance, when the session is agreed; void once it is closed or moved."""


def notifications_for(before: State | None, after: State | None) -> tuple[Notification, ...]:
    """Who is notified of a transition. Raises `IllegalTransition` for one that the table does not have."""
    state = after if after is not None else before
    people = NOTIFICATIONS[record_of(state)].get((before, after)) if state is not None else None
    if people is None:
        raise IllegalTransition(f"nobody can be told of a move from {before or 'nothing'} to {after or 'nothing'}")
    return people


def scheduled_notifications(
    starts_at: datetime, ends_at: datetime, deadline_at: datetime, at: datetime
) -> list[tuple[Notification, datetime]]:
    """The notifications to schedule for a session that is agreed at `at`, and when. Those already past are left out.

    The instructor is asked how the session went when it ends, and again halfway to the deadline.
    """
    completion_due = Notification(NotificationKind.COMPLETION_DUE, Recipient.INSTRUCTOR)
    before = [
        (each, starts_at - lead) for notification, lead in BEFORE_THE_SESSION.items() for each in _both(notification)
    ]
    after = [(completion_due, due_at) for due_at in (ends_at, ends_at + (deadline_at - ends_at) / 2)]
    return [(each, due_at) for each, due_at in before + after if due_at > at]


def is_still_true(
    notification: NotificationKind, status: BookingStatus, starts_at: datetime, ends_at: datetime, now: datetime
) -> bool:
    """Whether a notification that comes late still describes the booking. Later ones have superseded it otherwise."""
    match notification:
        case NotificationKind.BOOKING_RECEIVED:
            return status is BookingStatus.PENDING
        case NotificationKind.APPROVED:
            return status is BookingStatus.ACCEPTED and now < ends_at
        case NotificationKind.REMINDER_A_DAY | NotificationKind.REMINDER_15_MINUTES:
            return status is BookingStatus.ACCEPTED and now < starts_at
        case kind if kind in ABOUT_AN_OPEN_REPORT:
            return status is BookingStatus.ACCEPTED
        case kind if kind in _OPEN_BOOKINGS_ONLY:
            return status in HOLDS_SLOT
    return True


_OPEN_BOOKINGS_ONLY = frozenset(
    {
        NotificationKind.PAYMENT_RENEWAL,
        NotificationKind.PAYMENT_RENEWED,
        *(each.notification for people in ABOUT_PROPOSALS.values() for each in people),
    }
)
