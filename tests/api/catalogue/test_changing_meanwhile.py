"""A concurrent booking and withdrawal: the first to lock wins, and the other waits and is refused.

The first is kept uncommitted, holding its locks, until the other waits for them. Nothing depends on timing.
"""

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.booking.records import RecordActivities
from api.catalogue import commands
from api.http.auth import Caller
from models.domain.actors import Actor, Role, SignUpRole
from models.domain.messages import Channel, MoveResult, MoveSlot, Reschedule, ReserveSlot
from models.domain.policy import BookingPolicy, PaymentPlan
from models.domain.proposals import ProposalStatus
from models.domain.states import BookingStatus
from models.domain.terms import BookingTerms
from models.tables.bookings import BookingRequest, RescheduleProposal
from models.tables.catalogue import Offering, Slot
from tests.api.world import HOUR, PRICE, World, problem

_TIMEOUT_SECONDS = 60
LATER = timedelta(days=3)

Result = TypeVar("Result")


async def waiting(engine: AsyncEngine, action: Coroutine[Any, Any, Result], waiters: int = 1) -> "asyncio.Task[Result]":
    """Start `action`, and return once `waiters` connections wait for a lock. Fails if it finishes before."""
    task = asyncio.create_task(action)
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(_TIMEOUT_SECONDS), engine.connect() as connection:
        while await connection.scalar(query) != waiters:
            assert not task.done(), task.result()
            await connection.rollback()
            await asyncio.sleep(0.01)
    return task


async def book(world: World, slot_id: UUID) -> bool:
    """Reserve the slot, as the booking workflow does."""
    now = datetime.now(UTC)
    async with AsyncSession(world.engine) as session:
        slot = await session.get_one(Slot, slot_id)
    terms = BookingTerms(
        booking_id=uuid4(),
        student_id=world.student.id,
        instructor_id=world.instructor.id,
        offering_id=world.offering_id,
        slot_id=slot_id,
        starts_at=slot.starts_at,
        ends_at=slot.ends_at,
        price=PRICE,
        policy=BookingPolicy(),
        plan=PaymentPlan.HOLD,
        stripe_account_id="acct_test",
    )
    order = ReserveSlot(terms=terms, booked_at=now, checkout_deadline_at=now + HOUR)
    return await RecordActivities(world.engine).reserve_slot(order) is True


async def move(world: World, slot_id: UUID) -> bool:
    """Move a booking of another time to the slot, as its workflow does."""
    booking_id = await world.booking(await world.slot(), status=BookingStatus.ACCEPTED)
    async with AsyncSession(world.engine) as session:
        slot, booking = await session.get_one(Slot, slot_id), await session.get_one(BookingRequest, booking_id)
    proposal = RescheduleProposal(
        booking_id=booking_id,
        slot_id=slot_id,
        starts_at=slot.starts_at,
        ends_at=slot.ends_at,
        proposed_by=SignUpRole.STUDENT,
        status=ProposalStatus.OPEN,
        created_at=datetime.now(UTC),
    )
    async with AsyncSession(world.engine, expire_on_commit=False) as session, session.begin():
        session.add(proposal)
    agreed = Reschedule(
        actor=Actor(role=Role.INSTRUCTOR, id=world.instructor.id),
        channel=Channel.API,
        proposal_id=proposal.id,
        slot_id=slot_id,
        starts_at=slot.starts_at,
        ends_at=slot.ends_at,
        from_starts_at=booking.starts_at,
    )
    message = MoveSlot(booking_id=booking_id, decision=agreed, deadline_at=slot.ends_at, at=datetime.now(UTC))
    return await RecordActivities(world.engine).move_slot(message) is MoveResult.MOVED


def _by(offering: Offering) -> Caller:
    return Caller(Role.INSTRUCTOR, offering.instructor_id)


async def withdraw_slot(session: AsyncSession, offering: Offering, slot_id: UUID) -> None:
    await commands.withdraw_slots(session, offering, [col(Slot.id) == slot_id], _by(offering), datetime.now(UTC))


async def withdraw_offering(session: AsyncSession, offering: Offering, _: UUID) -> None:
    await commands.change_offering(session, offering, {"is_active": False}, _by(offering), datetime.now(UTC))


@pytest.mark.parametrize("claim", [book, move])
async def test_a_withdrawal_waits_for_a_booking_of_the_slot_and_is_refused(
    client: httpx.AsyncClient, world: World, claim: Any
) -> None:
    slot_id, overlapping = await world.slot(LATER), await world.slot(LATER + HOUR / 2)
    async with AsyncSession(world.engine) as rival:
        rival.add(await world.request(overlapping))
        await rival.flush()
        # The claim has locked its slot, and waits for the rival to know whether the time is free.
        claiming = await waiting(world.engine, claim(world, slot_id))
        url = f"/v1/offerings/{world.offering_id}/slots/{slot_id}"
        withdrawing = await waiting(world.engine, client.delete(url, headers=world.instructor.headers), waiters=2)
        await rival.rollback()
    assert await claiming
    assert problem(await withdrawing) == (409, "slot-taken")


@pytest.mark.parametrize(
    ("withdraw", "claim"), [(withdraw_slot, book), (withdraw_slot, move), (withdraw_offering, book)]
)
async def test_a_booking_waits_for_a_withdrawal_and_is_refused(world: World, withdraw: Any, claim: Any) -> None:
    slot_id = await world.slot(LATER)
    async with AsyncSession(world.engine) as session:
        await withdraw(session, await session.get_one(Offering, world.offering_id), slot_id)
        await session.flush()
        claiming = await waiting(world.engine, claim(world, slot_id))
        await session.commit()
    assert not await claiming
    async with AsyncSession(world.engine) as session:
        assert not (await session.exec(select(BookingRequest).where(col(BookingRequest.slot_id) == slot_id))).all()
