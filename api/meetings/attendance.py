"""Writes of the meetings: what the provider reports of who was there."""

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.meetings.webhook_events import Report
from models.domain.actors import SignUpRole
from models.domain.attendance import AttendanceKind, MeetingProvider
from models.tables.bookings import AttendanceEvent, BookingRequest, LiveSession


async def keep_report(session: AsyncSession, report: Report, kind: AttendanceKind, source: MeetingProvider) -> bool:
    """Once, however often it comes. False: it is about no room of ours, or about nobody who has it."""
    of_room = select(BookingRequest).join(LiveSession).where(col(LiveSession.room) == report.room)
    booking = (await session.exec(of_room)).first()
    if booking is None:
        return False
    people = {booking.student_id: SignUpRole.STUDENT, booking.instructor_id: SignUpRole.INSTRUCTOR}
    is_of_a_person = kind is not AttendanceKind.RECORDING_UPLOADED
    role = people.get(report.person_id) if is_of_a_person and report.person_id else None
    if is_of_a_person and role is None:
        return False
    event = AttendanceEvent(
        id=report.idempotency_key,
        booking_id=booking.id,
        kind=kind,
        role=role,
        connection=report.connection if is_of_a_person else None,
        at=report.at,
        source=source,
    )
    await session.exec(insert(AttendanceEvent).values(event.model_dump()).on_conflict_do_nothing())
    return True
