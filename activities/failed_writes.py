"""Activities that call an operator's attention to a booking whose refund or dispute cannot be recorded."""

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities.database import attention, audit
from activities.database.transactions import transaction
from models.domain.actors import PLATFORM
from models.domain.messages import Channel, FailedWrite
from models.tables.audit import AuditEvent
from models.tables.bookings import BookingRequest


class FailedWriteActivities:
    """Both leave another reason for attention as it is: it has an end of its own."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @activity.defn
    async def report_failed_write(self, message: FailedWrite) -> None:
        async with transaction(self._engine) as session:
            booking = await session.get_one(BookingRequest, message.booking_id, with_for_update=True)
            if await audit.append(session, _event("booking.needs_attention", message)) and not booking.needs_attention:
                booking.call_attention(message.reason, message.at)

    @activity.defn
    async def resolve_failed_write(self, message: FailedWrite) -> None:
        async with transaction(self._engine) as session:
            booking = await session.get_one(BookingRequest, message.booking_id, with_for_update=True)
            cleared = _event("booking.attention_cleared", message)
            if await audit.append(session, cleared) and booking.attention_reason == message.reason:
                await attention.end(session, booking, message.at)


def _event(action: str, message: FailedWrite) -> AuditEvent:
    return audit.event(
        message.booking_id,
        action,
        PLATFORM,
        Channel.WORKFLOW,
        message.at,
        {"reason": message.reason},
        occasion=message.at.isoformat(),
    )
