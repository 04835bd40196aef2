"""What the API writes by itself; all that becomes of a booking is written by its workflow's activities."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, update
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.actors import Actor, Subject
from models.domain.messages import Channel
from models.domain.states import BookingStatus
from models.tables.audit import event_about
from models.tables.bookings import BookingRequest
from models.tables.disputes import Acceptance
from models.tables.refunds import Refund


async def keep_rejection_reason(
    session: AsyncSession, booking_id: UUID, reason: str, actor: Actor, now: datetime
) -> None:
    """Kept for a booking that is still undecided; shown once it is rejected."""
    undecided = (col(BookingRequest.id) == booking_id, col(BookingRequest.status) == BookingStatus.PENDING)
    kept = await session.exec(update(BookingRequest).where(*undecided).values(rejection_reason=reason))
    if kept.rowcount:
        action = "booking.rejection_reason_kept"
        session.add(event_about(Subject.BOOKING, booking_id, action, actor, Channel.API, now, occasion=now.isoformat()))


async def keep_refund(session: AsyncSession, wanted: Refund, actor: Actor, now: datetime) -> Refund:
    """The order as it was kept the first time."""
    new = await session.exec(
        insert(Refund).values(wanted.model_dump()).on_conflict_do_nothing().returning(col(Refund.id))
    )
    if new.first() is not None:
        detail = {"refund_id": str(wanted.id), "amount_minor": wanted.amount_minor, "borne_by": wanted.borne_by}
        action, occasion = "booking.refund_ordered", str(wanted.id)
        session.add(event_about(Subject.BOOKING, wanted.booking_id, action, actor, Channel.API, now, detail, occasion))
    return await session.get_one(Refund, wanted.id)


async def keep_acceptance(
    session: AsyncSession, booking_id: UUID, ip_address: str, user_agent: str, now: datetime
) -> None:
    """From where price and policy were accepted, the first time: evidence, should the card holder dispute it."""
    acceptance = Acceptance(booking_id=booking_id, ip_address=ip_address, user_agent=user_agent, at=now)
    await session.exec(insert(Acceptance).values(acceptance.model_dump()).on_conflict_do_nothing())
