"""An instructor's time cannot be booked twice; a booking that ends frees its slot."""

import asyncio
from datetime import timedelta

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.database.transactions import DatabaseError
from models.domain.actors import PLATFORM
from models.domain.endings import EndReason, cancelled, unpaid
from models.domain.payments import HoldPhase, PaymentState
from models.tables.bookings import BookingRequest
from models.tables.people import Student
from tests.activities.bookings import HOUR, NOW, STARTS_AT, Bookings, checkout, ended, held, reserve


async def test_one_of_twenty_concurrent_students_gets_the_slot(bookings: Bookings) -> None:
    requests = [await bookings.terms() for _ in range(20)]
    reserved = await asyncio.gather(*(bookings.records.reserve_slot(reserve(terms)) for terms in requests))
    assert sorted(map(bool, reserved)) == [False] * 19 + [True]
    winner = requests[reserved.index(True)]
    assert [row.id for row in await bookings.all(BookingRequest)] == [winner.booking_id]
    for terms in requests:
        audited = [event.action for event in await bookings.audit(terms.booking_id)]
        assert audited == (["booking.reserved"] if terms is winner else [])


async def test_an_order_from_before_its_instructors_suspension_reserves_nothing(bookings: Bookings) -> None:
    terms = await bookings.terms()
    async with bookings.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE instructor SET suspended_at = now()")
    assert not await bookings.records.reserve_slot(reserve(terms))
    assert await bookings.find(BookingRequest, terms.booking_id) is None


async def test_twenty_concurrent_attempts_of_one_booking_all_succeed_and_reserve_once(
    bookings: Bookings,
) -> None:
    terms = await bookings.terms()
    assert all(await asyncio.gather(*(bookings.records.reserve_slot(reserve(terms)) for _ in range(20))))
    assert len(await bookings.all(BookingRequest)) == 1
    assert len(await bookings.audit(terms.booking_id)) == 1


@pytest.mark.parametrize(
    ("starts_after", "lasts", "free"),
    [
        (timedelta(0), HOUR, False),
        (HOUR / 2, HOUR, False),
        (-HOUR / 2, HOUR, False),
        (-HOUR, 3 * HOUR, False),
        (HOUR / 4, HOUR / 4, False),
        (HOUR, HOUR, True),
        (-HOUR, HOUR, True),
        (24 * HOUR, HOUR, True),
    ],
)
async def test_slots_of_an_instructor_may_touch_but_not_overlap(
    bookings: Bookings, starts_after: timedelta, lasts: timedelta, free: bool
) -> None:
    first = await bookings.terms()
    starts_at = STARTS_AT + starts_after
    second = await bookings.terms(starts_at, starts_at + lasts)
    assert first.offering_id != second.offering_id
    assert await bookings.records.reserve_slot(reserve(first))
    assert await bookings.records.reserve_slot(reserve(second)) is free


@pytest.mark.parametrize(("gap_minutes", "free"), [(29, False), (30, True)])
async def test_buffers_of_adjacent_bookings_add_up(bookings: Bookings, gap_minutes: int, free: bool) -> None:
    first = (await bookings.terms()).model_copy(update={"buffer_before_minutes": 60, "buffer_after_minutes": 10})
    starts_at = STARTS_AT + HOUR + timedelta(minutes=gap_minutes)
    second = (await bookings.terms(starts_at)).model_copy(update={"buffer_before_minutes": 20})
    assert await bookings.records.reserve_slot(reserve(first))
    assert await bookings.records.reserve_slot(reserve(second)) is free


async def test_two_instructors_can_be_booked_for_the_same_time(bookings: Bookings) -> None:
    colleague = Bookings(bookings.engine, bookings.records)
    assert await bookings.records.reserve_slot(reserve(await bookings.terms()))
    assert await colleague.records.reserve_slot(reserve(await colleague.terms()))


async def test_refused_reservation_changes_nothing(bookings: Bookings) -> None:
    assert await bookings.records.reserve_slot(reserve(await bookings.terms()))
    second = await bookings.terms()
    before = await bookings.everything()
    assert not await bookings.records.reserve_slot(reserve(second))
    assert await bookings.everything() == before


async def test_deleted_booking_frees_its_slot(bookings: Bookings) -> None:
    first = await bookings.reserved()
    await bookings.records.record_ending(
        ended(first, unpaid(first, EndReason.CARD_DECLINED), PaymentState(phase=HoldPhase.CLOSED))
    )
    assert await bookings.records.reserve_slot(reserve(await bookings.terms()))


async def test_cancelled_booking_frees_its_slot(bookings: Bookings) -> None:
    first = await bookings.accepted()
    ending = cancelled(first, PLATFORM, NOW, accepted=True)
    await bookings.records.record_ending(ended(first, ending, held(first, HoldPhase.GONE)))
    assert await bookings.records.reserve_slot(reserve(await bookings.terms()))


async def test_booking_during_a_concurrent_cancellation_does_not_fail(bookings: Bookings) -> None:
    first = await bookings.accepted()
    second = await bookings.terms()
    ending = ended(first, cancelled(first, PLATFORM, NOW, accepted=True), held(first, HoldPhase.GONE))
    _, reserved = await asyncio.gather(
        bookings.records.record_ending(ending), bookings.records.reserve_slot(reserve(second))
    )
    assert isinstance(reserved, bool)
    assert await bookings.records.reserve_slot(reserve(second))


async def test_concurrent_bookings_of_one_student_all_succeed(bookings: Bookings) -> None:
    first = await bookings.terms()
    requests = [
        first.model_copy(
            update={
                "booking_id": (await bookings.terms()).booking_id,
                "starts_at": STARTS_AT + number * HOUR,
                "ends_at": STARTS_AT + (number + 1) * HOUR,
            }
        )
        for number in range(8)
    ]
    assert all(await asyncio.gather(*(bookings.records.reserve_slot(reserve(terms)) for terms in requests)))
    customer = f"cus_{first.student_id}"
    await asyncio.gather(*(bookings.records.record_checkout(checkout(terms, customer)) for terms in requests))
    assert all(row.checkout_session_id for row in await bookings.all(BookingRequest))


async def test_a_student_whose_account_is_closed_reserves_nothing(bookings: Bookings) -> None:
    terms = await bookings.terms()
    async with AsyncSession(bookings.engine) as session, session.begin():
        (await session.get_one(Student, terms.student_id)).closed_at = NOW
    assert not await bookings.records.reserve_slot(reserve(terms))


async def test_nobody_reserves_their_own_slot(bookings: Bookings) -> None:
    """The API refuses it before. This is the last line of defence."""
    terms = await bookings.terms()
    async with AsyncSession(bookings.engine) as session, session.begin():
        session.add(Student(id=terms.instructor_id, email="nadia@example.test", name="Nadia", created_at=NOW))
    own = terms.model_copy(update={"student_id": terms.instructor_id})
    with pytest.raises(DatabaseError):
        await bookings.records.reserve_slot(reserve(own))
    assert await bookings.all(BookingRequest) == []
