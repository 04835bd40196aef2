"""What a student may reserve without paying, at each limit and just below it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from models.domain.money import Money
from models.domain.policy import BookingPolicy, PaymentPlan
from models.domain.rationing import (
    BookingLimits,
    Lapse,
    Limit,
    LimitReached,
    OpenBooking,
    Standing,
    limit_reached,
)
from models.domain.terms import BookingTerms

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
WANTED = BookingTerms(
    booking_id=uuid4(),
    student_id=uuid4(),
    instructor_id=uuid4(),
    offering_id=uuid4(),
    slot_id=uuid4(),
    starts_at=NOW + 24 * HOUR,
    ends_at=NOW + 25 * HOUR,
    price=Money(amount_minor=10_000, currency="usd"),
    policy=BookingPolicy(),
    plan=PaymentPlan.HOLD,
    stripe_account_id="acct_1",
)
LIMITS = BookingLimits()
OFF = BookingLimits(
    max_unpaid=0, max_unpaid_per_instructor=0, lapsed_slot_wait=timedelta(0), max_lapses=0, max_declined_cards=0
)


def unpaid(pay_in: timedelta = HOUR / 2, instructor_id: UUID | None = None) -> OpenBooking:
    return OpenBooking(
        booking_id=uuid4(),
        instructor_id=instructor_id or uuid4(),
        starts_at=NOW + 48 * HOUR,
        ends_at=NOW + 49 * HOUR,
        is_unpaid=True,
        pay_until=NOW + pay_in,
    )


def accepted(starts_in: timedelta, lasts: timedelta = HOUR) -> OpenBooking:
    starts_at = WANTED.starts_at + starts_in
    return OpenBooking(
        booking_id=uuid4(), instructor_id=uuid4(), starts_at=starts_at, ends_at=starts_at + lasts, is_unpaid=False
    )


def reached(
    standing: Standing, limits: BookingLimits = LIMITS, allow_overlap: bool = False, now: datetime = NOW
) -> LimitReached | None:
    return limit_reached(limits, standing, WANTED, allow_overlap, now)


def test_three_unpaid_bookings_are_the_most_until_the_first_of_them_lapses() -> None:
    three = tuple(unpaid(minutes * MINUTE) for minutes in (10, 20, 30))
    assert reached(Standing(open=three[:2])) is None
    assert reached(Standing(open=three)) == LimitReached(limit=Limit.UNPAID, until=NOW + 10 * MINUTE)


def test_one_unpaid_booking_per_instructor() -> None:
    mine = unpaid(instructor_id=WANTED.instructor_id)
    assert reached(Standing(open=(mine,))) == LimitReached(
        limit=Limit.UNPAID_WITH_INSTRUCTOR, until=mine.pay_until, booking_id=mine.booking_id
    )


def test_a_limit_also_holds_for_who_is_above_it_already() -> None:
    mine = [unpaid(instructor_id=WANTED.instructor_id) for _ in range(2)]
    assert reached(Standing(open=tuple(mine))) == LimitReached(
        limit=Limit.UNPAID_WITH_INSTRUCTOR, until=mine[0].pay_until, booking_id=mine[0].booking_id
    )
    one = OFF.model_copy(update={"max_unpaid": 1})
    for count in (1, 2):
        others = [unpaid() for _ in range(count)]
        expected = LimitReached(limit=Limit.UNPAID, until=others[0].pay_until)
        assert reached(Standing(open=tuple(others)), one) == expected


def test_paid_bookings_do_not_count() -> None:
    many = tuple(accepted(hours * HOUR) for hours in range(2, 20))
    assert reached(Standing(open=many)) is None


@pytest.mark.parametrize(("ago", "waits"), [(59 * MINUTE, True), (60 * MINUTE, False), (61 * MINUTE, False)])
def test_a_lapsed_slot_is_not_theirs_again_for_an_hour(ago: timedelta, waits: bool) -> None:
    answer = reached(Standing(lapses=(Lapse(slot_id=WANTED.slot_id, at=NOW - ago),)))
    assert answer == (LimitReached(limit=Limit.LAPSED_SLOT, until=NOW + MINUTE) if waits else None)


def test_a_slot_of_another_lapse_is_free() -> None:
    for other in (uuid4(), UUID(int=0), UUID(int=2**128 - 1)):
        assert reached(Standing(lapses=(Lapse(slot_id=other, at=NOW),))) is None


@pytest.mark.parametrize("limit", [Limit.LAPSES, Limit.DECLINED_CARDS])
def test_after_five_in_a_day_they_wait_until_the_fifth_last_is_a_day_old(limit: Limit) -> None:
    def standing(count: int) -> Standing:
        times = [NOW - hours * HOUR for hours in range(2, 2 + count)]
        if limit is Limit.DECLINED_CARDS:
            return Standing(declined_at=tuple(times))
        return Standing(lapses=tuple(Lapse(slot_id=uuid4(), at=at) for at in times))

    assert reached(standing(4)) is None
    assert reached(standing(5)) == LimitReached(limit=limit, until=NOW + 18 * HOUR)
    assert reached(standing(7)) == LimitReached(limit=limit, until=NOW + 18 * HOUR)
    assert reached(standing(7), now=NOW + 18 * HOUR) is None
    assert reached(standing(7), now=NOW + 19 * HOUR) is None
    at_the_first = BookingLimits(max_lapses=1, max_declined_cards=1)
    assert reached(standing(1), at_the_first) == LimitReached(limit=limit, until=NOW + 22 * HOUR)


@pytest.mark.parametrize(
    ("starts_in", "overlaps"),
    [
        (timedelta(0), True),
        (59 * MINUTE, True),
        (-59 * MINUTE, True),
        (HOUR, False),
        (-HOUR, False),
        (-2 * HOUR, False),
    ],
)
def test_overlapping_sessions_are_refused_unless_they_are_meant(starts_in: timedelta, overlaps: bool) -> None:
    other = accepted(starts_in)
    expected = LimitReached(limit=Limit.OVERLAP, booking_id=other.booking_id) if overlaps else None
    assert reached(Standing(open=(other,))) == expected
    assert reached(Standing(open=(other,)), allow_overlap=True) is None


def test_every_limit_but_the_overlap_can_be_turned_off() -> None:
    bad = Standing(
        open=(*(unpaid() for _ in range(9)), unpaid(instructor_id=WANTED.instructor_id)),
        lapses=tuple(Lapse(slot_id=WANTED.slot_id, at=NOW) for _ in range(9)),
        declined_at=(NOW,) * 9,
    )
    assert reached(bad)
    assert reached(bad, OFF) is None
