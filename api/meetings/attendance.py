"""Writes attendance events reported by the meeting provider."""

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.meetings.webhook_events import Report
from models.domain.actors import SignUpRole
from models.domain.attendance import AttendanceKind, MeetingProvider
from models.tables.bookings import AttendanceEvent, BookingRequest, FormerRoom, LiveSession


async def record(
    session: AsyncSession, report: Report, kind: AttendanceKind, source: MeetingProvider
) -> BookingRequest | None:
    """Idempotent. The booking, or `None` if the room is unknown or the person is not a party of its booking."""
    former = select(FormerRoom.booking_id).where(col(FormerRoom.room) == report.room)
    has_room = or_(col(LiveSession.room) == report.room, col(LiveSession.booking_id).in_(former))
    statement = select(BookingRequest).join(LiveSession).where(has_room)
    booking = (await session.exec(statement)).first()
    if booking is None:
        return None
    roles = {booking.student_id: SignUpRole.STUDENT, booking.instructor_id: SignUpRole.INSTRUCTOR}
    has_person = kind is not AttendanceKind.RECORDING_UPLOADED
    role = roles.get(report.person_id) if has_person and report.person_id else None
    if has_person and role is None:
        return None
    event = AttendanceEvent(
        id=report.idempotency_key,
        booking_id=booking.id,
        kind=kind,
        role=role,
        connection=report.connection if has_person else None,
        at=report.at,
        source=source,
    )
    await session.exec(insert(AttendanceEvent).values(event.model_dump()).on_conflict_do_nothing())
    return booking
