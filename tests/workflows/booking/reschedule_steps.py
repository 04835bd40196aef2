"""Steps of the tests that move a session."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlmodel import col, update
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.actors import SignUpRole
from models.domain.messages import Reschedule
from models.domain.proposals import ProposalStatus
from models.tables.bookings import RescheduleProposal
from sandbox import seed
from tests.workflows.saga import Booked, Saga
from workflows.booking.workflow import BookingWorkflow

HOUR = timedelta(hours=1)


async def add_slot(saga: Saga, booked: Booked, starts_at: datetime) -> UUID:
    return await seed.add_slot(saga.engine, booked.order.terms.offering_id, starts_at, starts_at + HOUR)


async def proposal(saga: Saga, booked: Booked, later: timedelta, starts_at: datetime | None = None) -> Reschedule:
    """An accepted proposal for a slot that starts `later` than the booked one."""
    terms = booked.order.terms
    to = terms.starts_at + later
    row = RescheduleProposal(
        booking_id=terms.booking_id,
        slot_id=await add_slot(saga, booked, to),
        starts_at=to,
        ends_at=to + HOUR,
        proposed_by=SignUpRole.STUDENT,
        status=ProposalStatus.OPEN,
        created_at=datetime.now(UTC),
    )
    async with AsyncSession(saga.engine, expire_on_commit=False) as session, session.begin():
        await session.exec(
            update(RescheduleProposal)
            .where(col(RescheduleProposal.booking_id) == terms.booking_id)
            .where(col(RescheduleProposal.status) == ProposalStatus.OPEN)
            .values(status=ProposalStatus.WITHDRAWN)
        )
        session.add(row)
    return Reschedule(
        actor=booked.instructor,
        proposal_id=row.id,
        slot_id=row.slot_id,
        starts_at=to,
        ends_at=to + HOUR,
        from_starts_at=starts_at or terms.starts_at,
    )


async def move(booked: Booked, to: Reschedule) -> None:
    await booked.handle.execute_update(BookingWorkflow.reschedule, to)
