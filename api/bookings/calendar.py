"""The session of a booking as a calendar file."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.bookings import queries
from api.http.auth import AsEitherSide
from api.http.content_negotiation import NAMED_FILE
from api.http.database import WithDatabase
from api.http.problems import Kind, Problem, problem_responses
from api.settings import WithSettings
from models.domain.actors import Role
from models.languages import language
from models.session_calendar import FILE_NAME, MEDIA_TYPE, appointment, calendar_file
from models.tables.bookings import BookingRequest
from models.tables.people import Instructor, Student

router = APIRouter(prefix="/v1/bookings/{booking_id}", tags=["bookings"])

_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The session, in UTC.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
        "headers": NAMED_FILE,
    }
}


@router.get(
    "/calendar.ics",
    operation_id="getCalendarFile",
    response_class=Response,
    responses=_FILE
    | problem_responses(
        Kind.NOT_SIGNED_IN,
        Kind.WRONG_ROLE,
        Kind.NOT_FOUND,
        Kind.NOT_POSSIBLE_NOW,
        Kind.BOOKING_CLOSED,
        Kind.BOOKING_DELETED,
        Kind.REQUEST_INVALID,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
)
async def get_calendar_file(
    booking_id: UUID, caller: AsEitherSide, database: WithDatabase, settings: WithSettings
) -> Response:
    """The session as an iCalendar file, once the booking is approved. It has the same UID and SEQUENCE as the mailed
    invitation, so that the newer of the two updates the other."""
    async with database.reading() as session:
        record = await queries.existing_booking(session, booking_id, caller)
        names = await _names(session, record.request)
    if record.session is None:
        kind = Kind.BOOKING_CLOSED if record.is_closed else Kind.NOT_POSSIBLE_NOW
        raise Problem(
            kind,
            "There is a calendar file once the instructor has confirmed the booking.",
            booking_status=record.request.status,
        )
    student, instructor, students_language, instructors_language = names
    other, code = (instructor, students_language) if caller.role is Role.STUDENT else (student, instructors_language)
    links_url = str(settings.runtime.holdfast_links_url or settings.http.holdfast_public_url)
    return Response(
        calendar_file(appointment(record.request, record.session, other, language(code), links_url)),
        media_type=MEDIA_TYPE,
        headers={"Content-Disposition": f'attachment; filename="{FILE_NAME}"'},
    )


async def _names(session: AsyncSession, request: BookingRequest) -> tuple[str, str, str, str]:
    """The names of the student and the instructor, and their languages."""
    statement = (
        select(Student.name, Instructor.name, Student.language, Instructor.language)
        .join(Instructor, col(Instructor.id) == request.instructor_id)
        .where(col(Student.id) == request.student_id)
    )
    return (await session.exec(statement)).one()
