"""The record of received events. If a row is lost, its event is delivered a second time, which changes nothing."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.database.transactions import transaction
from models.domain.reconciliation import EVENT_RETENTION
from models.domain.stripe_events import RoutingResult, StripeEvent
from models.tables.bookings import BookingRequest
from models.tables.people import Instructor
from models.tables.stripe_events import StripeEventRecord

_RETENTION = EVENT_RETENTION + timedelta(days=15)


async def record(engine: AsyncEngine, event: StripeEvent, routing_result: RoutingResult) -> None:
    """Record a received event. Raises `DatabaseError`."""
    row = StripeEventRecord(
        id=event.id, type=event.type, booking_id=event.booking_id, routing_result=routing_result, at=datetime.now(UTC)
    )
    async with transaction(engine) as session:
        await session.exec(insert(StripeEventRecord).values(row.model_dump()).on_conflict_do_nothing())


async def not_received(engine: AsyncEngine, events: Sequence[StripeEvent]) -> list[StripeEvent]:
    """The events that have not been recorded, in their order."""
    recorded = select(StripeEventRecord.id).where(col(StripeEventRecord.id).in_([event.id for event in events]))
    async with transaction(engine) as session:
        received = set(await session.exec(recorded))
    return [event for event in events if event.id not in received]


async def delete_old(session: AsyncSession, now: datetime) -> None:
    """Delete the events that Stripe itself no longer lists."""
    await session.exec(delete(StripeEventRecord).where(col(StripeEventRecord.at) < now - _RETENTION))


async def instructor_of(session: AsyncSession, account_id: str) -> UUID | None:
    """Whose connected account this is, or was when one of their bookings was made. `None`: another program's."""
    current = select(Instructor.id).where(col(Instructor.stripe_account_id) == account_id)
    former = select(BookingRequest.instructor_id).where(col(BookingRequest.stripe_account_id) == account_id)
    return (await session.exec(current)).first() or (await session.exec(former.limit(1))).first()
