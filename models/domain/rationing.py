"""How much a student may reserve without paying. Pure: what the records say comes in as a `Standing`."""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from models.domain.base import Value
from models.domain.terms import BookingTerms

PERIOD = timedelta(days=1)
"""Lapsed bookings and declined cards are counted over this long."""


class BookingLimits(Value):
    """The platform's limits for one student. Zero turns a limit off."""

    max_unpaid: int = 3
    max_unpaid_per_instructor: int = 1
    lapsed_slot_wait: timedelta = timedelta(hours=1)
    """How long a student cannot book a slot again that they reserved and did not pay."""
    max_lapses: int = 5
    max_declined_cards: int = 5


class Limit(StrEnum):
    UNPAID = "unpaid"
    UNPAID_WITH_INSTRUCTOR = "unpaid_with_instructor"
    LAPSED_SLOT = "lapsed_slot"
    LAPSES = "lapses"
    DECLINED_CARDS = "declined_cards"
    OVERLAP = "overlap"


class LimitReached(Value):
    limit: Limit
    until: datetime | None = None
    """When the limit no longer applies; `None` if time alone does not lift it."""
    booking_id: UUID | None = None
    """The student's other booking, if the limit is about a single one."""


class OpenBooking(Value):
    booking_id: UUID
    instructor_id: UUID
    starts_at: datetime
    ends_at: datetime
    is_unpaid: bool
    pay_until: datetime | None = None


class Lapse(Value):
    """A reservation that ended unpaid: the payment deadline passed, or the student cancelled before paying."""

    slot_id: UUID
    at: datetime


class Standing(Value):
    """What counts against a student now."""

    open: tuple[OpenBooking, ...] = ()
    """Those that are unpaid, or that overlap the wanted session. Earliest payment deadline first."""
    lapses: tuple[Lapse, ...] = ()
    """Within `PERIOD`."""
    declined_at: tuple[datetime, ...] = ()
    """When cards were declined within `PERIOD`."""


def limit_reached(
    limits: BookingLimits, standing: Standing, wanted: BookingTerms, allow_overlap: bool, now: datetime
) -> LimitReached | None:
    """The limit that keeps the student from booking `wanted` now."""
    return (
        _unpaid(limits, standing, wanted)
        or _lapsed_slot(limits, standing, wanted, now)
        or _too_many(Limit.LAPSES, limits.max_lapses, [lapse.at for lapse in standing.lapses], now)
        or _too_many(Limit.DECLINED_CARDS, limits.max_declined_cards, list(standing.declined_at), now)
        or (None if allow_overlap else _overlap(standing, wanted))
    )


def _unpaid(limits: BookingLimits, standing: Standing, wanted: BookingTerms) -> LimitReached | None:
    unpaid = [booking for booking in standing.open if booking.is_unpaid]
    with_instructor = [booking for booking in unpaid if booking.instructor_id == wanted.instructor_id]
    if 0 < limits.max_unpaid_per_instructor <= len(with_instructor):
        first = with_instructor[0]
        return LimitReached(limit=Limit.UNPAID_WITH_INSTRUCTOR, until=first.pay_until, booking_id=first.booking_id)
    if 0 < limits.max_unpaid <= len(unpaid):
        return LimitReached(limit=Limit.UNPAID, until=unpaid[0].pay_until)
    return None


def _lapsed_slot(limits: BookingLimits, standing: Standing, wanted: BookingTerms, now: datetime) -> LimitReached | None:
    until = max((lapse.at for lapse in standing.lapses if lapse.slot_id == wanted.slot_id), default=None)
    if until is None or now >= until + limits.lapsed_slot_wait:
        return None
    return LimitReached(limit=Limit.LAPSED_SLOT, until=until + limits.lapsed_slot_wait)


def _too_many(limit: Limit, maximum: int, times: list[datetime], now: datetime) -> LimitReached | None:
    """The student waits until fewer than `maximum` of the times are within the period."""
    if not 0 < maximum <= len(times):
        return None
    until = sorted(times, reverse=True)[maximum - 1] + PERIOD
    return LimitReached(limit=limit, until=until) if now < until else None


def _overlap(standing: Standing, wanted: BookingTerms) -> LimitReached | None:
    for booking in standing.open:
        if booking.starts_at < wanted.ends_at and booking.ends_at > wanted.starts_at:
            return LimitReached(limit=Limit.OVERLAP, booking_id=booking.booking_id)
    return None
