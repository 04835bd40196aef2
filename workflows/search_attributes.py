"""What operators find bookings by in the Temporal UI: search attributes, and the summary in a line."""

from datetime import datetime
from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributePair, SearchAttributeUpdate, TypedSearchAttributes

from models.domain.messages import AttentionCase, BookingView, ReserveSlot
from models.domain.money import Money
from models.domain.states import BookingStatus

BOOKING_STATUS = SearchAttributeKey.for_keyword("BookingStatus")
PAYMENT_STATUS = SearchAttributeKey.for_keyword("PaymentStatus")
INSTRUCTOR_ID = SearchAttributeKey.for_keyword("InstructorId")
STUDENT_ID = SearchAttributeKey.for_keyword("StudentId")
CURRENCY = SearchAttributeKey.for_keyword("Currency")
SESSION_START = SearchAttributeKey.for_datetime("SessionStart")
NEXT_DEADLINE = SearchAttributeKey.for_datetime("NextDeadline")
AMOUNT_MINOR = SearchAttributeKey.for_int("AmountMinor")
NEEDS_ATTENTION = SearchAttributeKey.for_bool("NeedsAttention")
SUMMARY = SearchAttributeKey.for_text("Summary")
"""Also Temporal's own static summary, which the list of workflows does not show."""

ALL = (
    BOOKING_STATUS,
    PAYMENT_STATUS,
    INSTRUCTOR_ID,
    STUDENT_ID,
    CURRENCY,
    SESSION_START,
    NEXT_DEADLINE,
    AMOUNT_MINOR,
    NEEDS_ATTENTION,
    SUMMARY,
)
"""All must be registered with the namespace, or no booking can start."""


_TITLE_LENGTH = 60
"""Temporal allows 400 bytes for a summary, and a character can have four."""
_MARKUP = str.maketrans("", "", r"\`*_[]()<>#|~!")


def summary(title: str, starts_at: datetime, price: Money) -> str:
    """Static: a session that is moved keeps it. The title is the offering's, which anyone can read."""
    plain = " ".join(title.translate(_MARKUP).split())
    short = plain if len(plain) <= _TITLE_LENGTH else f"{plain[: _TITLE_LENGTH - 1]}…"
    return f"{short} · {starts_at:%Y-%m-%d %H:%M} UTC · {price.format()}"


def at_start(order: ReserveSlot, summary: str) -> TypedSearchAttributes:
    """Set by the starter, so the workflow does not spend an action on them."""
    terms = order.terms
    return TypedSearchAttributes(
        [
            SearchAttributePair(BOOKING_STATUS, BookingStatus.PENDING),
            SearchAttributePair(INSTRUCTOR_ID, str(terms.instructor_id)),
            SearchAttributePair(STUDENT_ID, str(terms.student_id)),
            SearchAttributePair(CURRENCY, terms.price.currency),
            SearchAttributePair(SESSION_START, terms.starts_at),
            SearchAttributePair(NEXT_DEADLINE, order.checkout_deadline_at),
            SearchAttributePair(AMOUNT_MINOR, terms.price.amount_minor),
            SearchAttributePair(NEEDS_ATTENTION, False),
            SearchAttributePair(SUMMARY, summary),
        ]
    )


def of_case(case: AttentionCase, summary: str) -> TypedSearchAttributes:
    """Those of the booking, so that a search for its people finds that it needs attention."""
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(BOOKING_STATUS, case.booking_status),
        SearchAttributePair(INSTRUCTOR_ID, str(case.instructor_id)),
        SearchAttributePair(STUDENT_ID, str(case.student_id)),
        SearchAttributePair(CURRENCY, case.price.currency),
        SearchAttributePair(SESSION_START, case.starts_at),
        SearchAttributePair(AMOUNT_MINOR, case.price.amount_minor),
        SearchAttributePair(NEEDS_ATTENTION, True),
        SearchAttributePair(SUMMARY, summary),
    ]
    if case.payment_status:
        pairs.append(SearchAttributePair(PAYMENT_STATUS, case.payment_status))
    return TypedSearchAttributes(pairs)


def changed(
    before: BookingView, now: BookingView, deadline: datetime | None, is_closed: bool
) -> list[SearchAttributeUpdate[Any]]:
    """The updates for everything that changed since `before`, for one upsert.

    A booking that is deleted, or never got its slot, has no status, and its workflow was started with one.
    """
    updates: list[SearchAttributeUpdate[Any]] = [
        NEXT_DEADLINE.value_set(deadline) if deadline else NEXT_DEADLINE.value_unset()
    ]
    status = now.booking_status
    if status != before.booking_status or (is_closed and status is None):
        updates.append(BOOKING_STATUS.value_set(status) if status else BOOKING_STATUS.value_unset())
    if now.payment_status != before.payment_status and now.payment_status:
        updates.append(PAYMENT_STATUS.value_set(now.payment_status))
    if now.needs_attention != before.needs_attention:
        updates.append(NEEDS_ATTENTION.value_set(now.needs_attention))
    return updates
