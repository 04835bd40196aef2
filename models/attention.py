"""What waits for an operator or is late, read from the records: for the metrics and for the digest by mail."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal_column
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.attention import AttentionKind, kind_of
from models.tables.bookings import BookingRequest
from models.tables.outbox import OutboxMessage
from models.tables.payments import Payment

# A literal, exactly as in the partial index.
_HELD: ColumnElement[str] = literal_column("'PENDING'")


class Waiting(NamedTuple):
    """A booking that needs attention."""

    booking_id: UUID
    kind: AttentionKind
    since: datetime


async def waiting(session: AsyncSession) -> list[Waiting]:
    """Those that have waited longest first."""
    since = func.coalesce(col(BookingRequest.attention_since), col(BookingRequest.updated_at))
    query = (
        select(BookingRequest.id, BookingRequest.attention_reason, since)
        .where(col(BookingRequest.needs_attention))
        .order_by(since, col(BookingRequest.id))
    )
    return [Waiting(id, kind_of(reason or ""), at) for id, reason, at in await session.exec(query)]


async def next_hold_end(session: AsyncSession) -> datetime | None:
    """When the next hold ends that is neither captured nor released."""
    held = (col(Payment.status) == _HELD, col(Payment.hold_ends_at).is_not(None))
    query = select(Payment.hold_ends_at).where(*held).order_by(col(Payment.hold_ends_at)).limit(1)
    return (await session.exec(query)).first()


async def oldest_due_mail(session: AsyncSession) -> datetime | None:
    """When the open mail was due that has waited longest. It may be due in the future."""
    is_open = (col(OutboxMessage.sent_at).is_(None), col(OutboxMessage.gave_up_at).is_(None))
    query = select(OutboxMessage.due_at).where(*is_open).order_by(col(OutboxMessage.due_at)).limit(1)
    return (await session.exec(query)).first()
