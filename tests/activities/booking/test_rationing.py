"""A student's limits hold in the reservation itself, whatever the API has read before."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.actors import Actor, Role
from models.domain.endings import Ending, EndReason, cancelled, unpaid
from models.domain.messages import ReserveSlot
from models.domain.payments import HoldPhase, PaymentState
from models.domain.rationing import BookingLimits, Limit, LimitReached
from models.domain.stripe_events import RoutingResult
from models.domain.terms import BookingTerms
from models.tables.bookings import BookingRequest
from models.tables.stripe_events import StripeEventRecord
from tests.activities.bookings import HOUR, NOW, STARTS_AT, Bookings, authorization, checkout, ended, held, reserve

UNPAID = PaymentState(phase=HoldPhase.CLOSED)


async def terms_of(bookings: Bookings, student_id: UUID, count: int, apart: timedelta = HOUR) -> list[BookingTerms]:
    """Terms of one student with as many instructors, one after the other."""
    return [
        (await Bookings(bookings.engine, bookings.records).terms(STARTS_AT + number * apart)).model_copy(
            update={"student_id": student_id}
        )
        for number in range(count)
    ]


def limited(terms: BookingTerms, at: datetime = NOW, allow_overlap: bool = False) -> ReserveSlot:
    return reserve(terms).model_copy(
        update={"limits": BookingLimits(), "booked_at": at, "allow_overlap": allow_overlap}
    )


async def test_of_twenty_concurrent_reservations_of_a_student_three_succeed(bookings: Bookings) -> None:
    student_id = (await bookings.terms()).student_id
    wanted = await terms_of(bookings, student_id, 20)
    answers = await asyncio.gather(*(bookings.records.reserve_slot(limited(terms)) for terms in wanted))
    assert sum(answer is True for answer in answers) == 3
    refused = [answer for answer in answers if answer is not True]
    assert refused == [LimitReached(limit=Limit.UNPAID, until=NOW + HOUR / 2)] * 17
    assert len(await bookings.all(BookingRequest)) == 3


async def test_of_concurrent_reservations_of_overlapping_sessions_one_succeeds(bookings: Bookings) -> None:
    student_id = (await bookings.terms()).student_id
    wanted = await terms_of(bookings, student_id, 3, apart=HOUR / 4)
    answers = await asyncio.gather(*(bookings.records.reserve_slot(limited(terms)) for terms in wanted))
    assert sum(answer is True for answer in answers) == 1
    (booked,) = await bookings.all(BookingRequest)
    refused = [answer for answer in answers if answer is not True]
    assert refused == [LimitReached(limit=Limit.OVERLAP, booking_id=booked.id)] * 2
    free = next(terms for terms in wanted if terms.booking_id != booked.id)
    meant = free.model_copy(update={"booking_id": uuid4()})
    assert await bookings.records.reserve_slot(limited(meant, allow_overlap=True)) is True


async def test_a_repeated_reservation_does_not_count_itself(bookings: Bookings) -> None:
    terms = await bookings.terms()
    assert [await bookings.records.reserve_slot(limited(terms)) for _ in range(2)] == [True, True]


async def test_one_unpaid_booking_per_instructor_and_a_paid_one_does_not_count(bookings: Bookings) -> None:
    first = await bookings.terms()
    second = (await bookings.terms(STARTS_AT + HOUR)).model_copy(update={"student_id": first.student_id})
    assert await bookings.records.reserve_slot(limited(first)) is True
    assert await bookings.records.reserve_slot(limited(second)) == LimitReached(
        limit=Limit.UNPAID_WITH_INSTRUCTOR, until=NOW + HOUR / 2, booking_id=first.booking_id
    )
    await bookings.records.record_checkout(checkout(first))
    await bookings.records.record_authorization(authorization(first))
    assert await bookings.records.reserve_slot(limited(second)) is True


def _cancelled_by(role: Role, terms: BookingTerms) -> Ending:
    return cancelled(terms, Actor(role=role, id=terms.student_id), NOW, accepted=False)


@pytest.mark.parametrize(
    ("ending", "counts"),
    [
        (lambda terms: unpaid(terms, EndReason.CHECKOUT_EXPIRED), True),
        (lambda terms: _cancelled_by(Role.STUDENT, terms), True),
        (lambda terms: _cancelled_by(Role.INSTRUCTOR, terms), False),
        (lambda terms: unpaid(terms, EndReason.CARD_DECLINED), False),
        (lambda terms: unpaid(terms, EndReason.CHECKOUT_REFUSED), False),
    ],
    ids=["expired", "cancelled by the student", "cancelled by the instructor", "declined", "refused by Stripe"],
)
async def test_a_slot_that_was_let_go_unpaid_is_not_theirs_for_an_hour(
    bookings: Bookings, ending: object, counts: bool
) -> None:
    terms = await bookings.reserved()
    await bookings.records.record_ending(ended(terms, ending(terms), UNPAID, at=NOW))  # type: ignore[operator]
    again = terms.model_copy(update={"booking_id": uuid4()})
    waits = LimitReached(limit=Limit.LAPSED_SLOT, until=NOW + HOUR)
    assert await bookings.records.reserve_slot(limited(again, NOW + HOUR / 2)) == (waits if counts else True)


async def test_a_slot_that_was_let_go_is_free_again_after_the_hour_and_for_others_at_once(bookings: Bookings) -> None:
    terms = await bookings.reserved()
    await bookings.records.record_ending(ended(terms, unpaid(terms, EndReason.CHECKOUT_EXPIRED), UNPAID, at=NOW))
    other = terms.model_copy(update={"booking_id": uuid4(), "student_id": (await bookings.terms()).student_id})
    assert await bookings.records.reserve_slot(limited(other)) is True
    await bookings.records.record_ending(ended(other, _cancelled_by(Role.STUDENT, other), UNPAID, at=NOW))
    again = terms.model_copy(update={"booking_id": uuid4()})
    assert await bookings.records.reserve_slot(limited(again, NOW + HOUR)) is True


async def test_cancelling_a_paid_booking_does_not_count(bookings: Bookings) -> None:
    terms = await bookings.authorized()
    ending = ended(terms, _cancelled_by(Role.STUDENT, terms), held(terms, HoldPhase.GONE), at=NOW)
    await bookings.records.record_ending(ending)
    again = terms.model_copy(update={"booking_id": uuid4()})
    assert await bookings.records.reserve_slot(limited(again)) is True


async def test_after_five_lapses_a_student_waits(bookings: Bookings) -> None:
    student_id = (await bookings.terms()).student_id
    *lapsed, wanted = await terms_of(bookings, student_id, 6)
    for terms in lapsed:
        assert await bookings.records.reserve_slot(limited(terms)) is True
        await bookings.records.record_ending(ended(terms, unpaid(terms, EndReason.CHECKOUT_EXPIRED), UNPAID, at=NOW))
    waits = LimitReached(limit=Limit.LAPSES, until=NOW + 24 * HOUR)
    assert await bookings.records.reserve_slot(limited(wanted, NOW + HOUR)) == waits
    assert await bookings.records.reserve_slot(limited(wanted, NOW + 24 * HOUR)) is True


async def test_declined_cards_are_counted_over_all_bookings_of_a_student(bookings: Bookings) -> None:
    first, second = await bookings.terms(), await bookings.terms(STARTS_AT + HOUR)
    second = second.model_copy(update={"student_id": first.student_id})
    another = await Bookings(bookings.engine, bookings.records).terms(STARTS_AT + 2 * HOUR)
    assert await bookings.records.reserve_slot(limited(first)) is True
    async with AsyncSession(bookings.engine) as session, session.begin():
        for number in range(5):
            session.add(
                StripeEventRecord(
                    id=f"evt_{number}",
                    type="payment_intent.payment_failed",
                    booking_id=first.booking_id,
                    routing_result=RoutingResult.ROUTED,
                    at=NOW + number * HOUR / 60,
                )
            )
    await bookings.records.record_checkout(checkout(first))
    await bookings.records.record_authorization(authorization(first))
    waits = LimitReached(limit=Limit.DECLINED_CARDS, until=NOW + 24 * HOUR)
    assert await bookings.records.reserve_slot(limited(second, NOW + HOUR)) == waits
    assert await bookings.records.reserve_slot(limited(another, NOW + HOUR)) is True
