"""New rooms for meetings whose join links must lead nowhere any more. A link itself cannot be taken back."""

from uuid import UUID

from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.states import SessionStatus
from models.tables.bookings import BookingRequest, FormerRoom, LiveSession, new_room

WITH_MEETING = (SessionStatus.SCHEDULED, SessionStatus.COMPLETION_REPORTED)


def change_room(session: AsyncSession, live_session: LiveSession) -> None:
    """Reports about the former room still count: somebody may be in it, and must not be taken for absent."""
    session.add(FormerRoom(room=live_session.room, booking_id=live_session.booking_id))
    live_session.room = new_room()


async def change_rooms_of(session: AsyncSession, person_id: UUID) -> None:
    """The room of each meeting that the person can still join, as student or instructor."""
    is_theirs = or_(col(BookingRequest.student_id) == person_id, col(BookingRequest.instructor_id) == person_id)
    joinable = (
        select(LiveSession)
        .join(BookingRequest)
        .where(is_theirs, col(LiveSession.status).in_(WITH_MEETING))
        .order_by(col(LiveSession.booking_id))
        .with_for_update(of=LiveSession)
    )
    for live_session in await session.exec(joinable):
        change_room(session, live_session)
