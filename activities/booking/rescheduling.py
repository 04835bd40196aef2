"""Moves a booking to another slot, and closes the reschedule proposal that both sides agreed on."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, delete, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.database import audit, outbox
from activities.database.transactions import transaction
from models.domain.attendance import AttendanceKind
from models.domain.messages import MoveResult, MoveSlot
from models.domain.proposals import ProposalStatus
from models.domain.states import HOLDS_SLOT, IllegalTransition
from models.tables.bookings import (
    AttendanceEvent,
    BookingRequest,
    FormerRoom,
    LiveSession,
    RescheduleProposal,
    new_room,
)
from models.tables.catalogue import Slot


async def move(engine: AsyncEngine, message: MoveSlot) -> MoveResult:
    """Move the booking if its proposal is still open and the slot is free; otherwise nothing changes.

    The proposal's row is locked, so that it is either accepted or withdrawn, never both.

    Raises `IllegalTransition` for a closed booking.
    """
    to = message.decision
    rescheduled = audit.event(
        message.booking_id,
        "booking.rescheduled",
        to.actor,
        to.channel,
        message.at,
        {
            "from_starts_at": to.from_starts_at.isoformat(),
            "starts_at": to.starts_at.isoformat(),
            "slot_id": str(to.slot_id),
        },
        occasion=str(to.proposal_id),
    )
    async with transaction(engine) as session:
        booking = await session.get(BookingRequest, message.booking_id, with_for_update=True)
        if await audit.exists(session, rescheduled):
            return MoveResult.MOVED
        if booking is None or booking.status not in HOLDS_SLOT:
            raise IllegalTransition(f"booking {message.booking_id} has no session to move")
        proposal = await session.get(RescheduleProposal, to.proposal_id, with_for_update=True)
        if proposal is None or proposal.status is not ProposalStatus.OPEN:
            return MoveResult.PROPOSAL_CLOSED
        if not await _claim(session, message):
            return MoveResult.SLOT_TAKEN
        await audit.append(session, rescheduled)
        await _move_session(session, booking, to.from_starts_at, message)
        proposal.status, proposal.decided_at = ProposalStatus.ACCEPTED, message.at
        return MoveResult.MOVED


async def _move_session(
    session: AsyncSession, booking: BookingRequest, previous_starts_at: datetime, message: MoveSlot
) -> None:
    """Before the approval there is no session: no room, and no invitation to update."""
    await session.refresh(booking)
    live_session = await session.get(LiveSession, booking.id, with_for_update=True)
    if live_session is not None:
        await _leave_room(session, booking.id, message.at)
        live_session.room = new_room()
        await session.exec(delete(FormerRoom).where(col(FormerRoom.booking_id) == booking.id))
    await outbox.reschedule(session, booking, live_session, previous_starts_at, message.at)


async def _leave_room(session: AsyncSession, booking_id: UUID, at: datetime) -> None:
    """Record that whoever is in the old room has left the meeting: it does not count for the new time.

    The provider's later reports about an old room are ignored, because no booking has it any more.
    """
    reports = select(AttendanceEvent).where(
        col(AttendanceEvent.booking_id) == booking_id, col(AttendanceEvent.role).is_not(None)
    )
    latest = {
        (report.role, report.connection): report
        for report in await session.exec(reports.order_by(col(AttendanceEvent.at), col(AttendanceEvent.kind)))
    }
    session.add_all(
        AttendanceEvent(
            id=f"{joined.id}:moved",
            booking_id=booking_id,
            kind=AttendanceKind.LEFT,
            role=joined.role,
            connection=joined.connection,
            at=max(at, joined.at),
            source=joined.source,
        )
        for joined in latest.values()
        if joined.kind is AttendanceKind.JOINED
    )


async def _claim(session: AsyncSession, message: MoveSlot) -> bool:
    """Update the booking if the slot is free. The slot is locked first, so that it cannot be withdrawn meanwhile."""
    to = message.decision
    open_slot = select(Slot.id).where(col(Slot.id) == to.slot_id, col(Slot.withdrawn_at).is_(None))
    if (await session.exec(open_slot.with_for_update(read=True))).first() is None:
        return False
    try:
        async with session.begin_nested():
            await session.exec(
                update(BookingRequest)
                .where(col(BookingRequest.id) == message.booking_id)
                .values(
                    slot_id=to.slot_id,
                    starts_at=to.starts_at,
                    ends_at=to.ends_at,
                    next_deadline_at=message.deadline_at,
                    updated_at=message.at,
                )
            )
    except IntegrityError as error:
        if getattr(getattr(error.orig, "diag", None), "constraint_name", None) == "no_double_booking":
            return False
        raise
    return True
