"""The problems of a student who has reached a limit on bookings. Each says what to do, or from when on it is gone."""

from datetime import datetime, timedelta

from api.http.problems import Kind, Problem
from models.domain.rationing import BookingLimits, Limit, LimitReached

_KINDS = {
    Limit.UNPAID: Kind.TOO_MANY_UNPAID,
    Limit.UNPAID_WITH_INSTRUCTOR: Kind.UNPAID_WITH_INSTRUCTOR,
    Limit.LAPSED_SLOT: Kind.SLOT_LAPSED,
    Limit.LAPSES: Kind.TOO_MANY_LAPSES,
    Limit.DECLINED_CARDS: Kind.TOO_MANY_DECLINED_CARDS,
    Limit.OVERLAP: Kind.SESSIONS_OVERLAP,
}
PROBLEMS = tuple(_KINDS.values())


def problem(reached: LimitReached, limits: BookingLimits) -> Problem:
    """The problem of a student who has reached the limit."""
    bookable_from = _whole_seconds(reached.until) if reached.until else None
    members = {"bookable_from": bookable_from, "booking_id": reached.booking_id and str(reached.booking_id)}
    return Problem(
        _KINDS[reached.limit],
        _detail(reached, limits, bookable_from),
        headers=None,
        **{name: value for name, value in members.items() if value},
    )


def _detail(reached: LimitReached, limits: BookingLimits, bookable_from: str | None) -> str:
    later = f", or book again from {bookable_from}" if bookable_from else ""
    match reached.limit:
        case Limit.UNPAID:
            return f"At most {limits.max_unpaid} bookings can wait for payment at a time. Pay or cancel one{later}."
        case Limit.UNPAID_WITH_INSTRUCTOR:
            return f"Pay or cancel booking {reached.booking_id} first{later}."
        case Limit.LAPSED_SLOT:
            return f"Your reservation expired without a payment. You can book the slot again from {bookable_from}."
        case Limit.LAPSES:
            return f"At most {limits.max_lapses} reservations a day can expire unpaid. Book again from {bookable_from}."
        case Limit.DECLINED_CARDS:
            return (
                f"At most {limits.max_declined_cards} payments a day can be declined. Book again from {bookable_from}."
            )
        case Limit.OVERLAP:
            return f"It overlaps your booking {reached.booking_id}. To book both, send `allow_overlap` as true."


def _whole_seconds(at: datetime) -> str:
    """Rounded up: at the time that is told, the limit is gone."""
    return f"{at + timedelta(microseconds=999_999):%Y-%m-%dT%H:%M:%SZ}"
