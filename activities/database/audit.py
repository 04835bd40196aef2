"""The audit trail. An event's row is also the proof that its transaction was committed.

An activity may run again after its commit, and even after later steps (a lost answer, a reset workflow). Each writes
its event in the transaction of its effect, under an id that comes out the same every time; finding the event there
already, it leaves the records alone.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.actors import Actor, Subject
from models.domain.messages import Channel
from models.domain.states import IllegalTransition
from models.tables.audit import AuditEvent, event_about
from models.tables.bookings import BookingRequest


def event(
    booking_id: UUID,
    action: str,
    actor: Actor,
    channel: Channel,
    at: datetime,
    detail: dict[str, Any] | None = None,
    occasion: str = "",
) -> AuditEvent:
    """`action` happens once in a booking, or once on each `occasion`. `detail` holds ids, codes and amounts only."""
    return event_about(Subject.BOOKING, booking_id, action, actor, channel, at, detail, occasion)


async def is_there(session: AsyncSession, event: AuditEvent) -> bool:
    return await session.get(AuditEvent, event.id) is not None


async def append(session: AsyncSession, event: AuditEvent) -> bool:
    """Whether the event is new. Waits for another transaction that is writing the same one."""
    values = event.model_dump(exclude={"seq"})
    statement = insert(AuditEvent).values(values).on_conflict_do_nothing().returning(col(AuditEvent.id))
    return (await session.exec(statement)).first() is not None


async def lock_for(session: AsyncSession, event: AuditEvent) -> BookingRequest | None:
    """The booking request to carry the event out on, locked; `None` when that has been done before.

    The lock comes first: whoever repeats an event waits here for the one who is at it. Raises `IllegalTransition`
    when there is no such booking request and the event is new: nothing can become of what is not there.
    """
    booking = await session.get(BookingRequest, event.booking_id, with_for_update=True)
    if not await append(session, event):
        return None
    if booking is None:
        raise IllegalTransition(f"there is no booking request {event.booking_id} for {event.action}")
    return booking
