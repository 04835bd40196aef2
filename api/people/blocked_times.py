"""The address of an instructor's own calendar, whose busy times are not offered."""

from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from api.http.auth import AsInstructor
from api.http.database import Database, WithDatabase
from api.http.problems import Kind, Problem, problem_responses
from api.people.schemas import CalendarAddress, InstructorCalendarState
from models.tables.blocked_times import InstructorCalendar
from models.tables.people import Instructor

router = APIRouter(
    prefix="/v1/instructors/me/calendar",
    tags=["instructors"],
    responses=problem_responses(Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.NO_ACCOUNT, Kind.INTERNAL, Kind.UNAVAILABLE),
)


@router.get("", operation_id="getCalendar", responses=problem_responses(Kind.NOT_FOUND))
async def get_calendar(caller: AsInstructor, database: WithDatabase) -> InstructorCalendarState:
    """How reading the calendar went. Its address is not returned, because whoever has it can read the calendar."""
    found = await find_calendar(caller.id, database)
    if found is None:
        raise Problem(Kind.NOT_FOUND, "There is no calendar. Send its address.")
    return found


@router.put("", operation_id="setCalendar", responses=problem_responses(Kind.CONTENT_TOO_LARGE, Kind.REQUEST_INVALID))
async def set_calendar(body: CalendarAddress, caller: AsInstructor, database: WithDatabase) -> InstructorCalendarState:
    """Read this calendar within seconds, and then once an hour. It replaces the one before it, with its times."""
    now = datetime.now(UTC)
    async with database.writing() as session:
        if await session.get(Instructor, caller.id) is None:
            raise Problem(Kind.NO_ACCOUNT)
        row = InstructorCalendar(instructor_id=caller.id, url=body.url, read_next_at=now, created_at=now)
        is_other = col(InstructorCalendar.url) != body.url
        await session.exec(
            delete(InstructorCalendar).where(col(InstructorCalendar.instructor_id) == caller.id, is_other)
        )
        added = insert(InstructorCalendar).values(row.model_dump())
        await session.exec(added.on_conflict_do_update(index_elements=["instructor_id"], set_={"read_next_at": now}))
        found = await _state(session, caller.id)
    assert found is not None
    return found


@router.delete("", operation_id="removeCalendar", status_code=204)
async def remove_calendar(caller: AsInstructor, database: WithDatabase) -> None:
    """Forget the calendar, and offer the times that it blocked again."""
    async with database.writing() as session:
        await session.exec(delete(InstructorCalendar).where(col(InstructorCalendar.instructor_id) == caller.id))


async def find_calendar(instructor_id: UUID, database: Database) -> InstructorCalendarState | None:
    async with database.reading() as session:
        return await _state(session, instructor_id)


async def _state(session: AsyncSession, instructor_id: UUID) -> InstructorCalendarState | None:
    row = (
        await session.exec(select(InstructorCalendar).where(col(InstructorCalendar.instructor_id) == instructor_id))
    ).first()
    if row is None:
        return None
    return InstructorCalendarState(host=urlsplit(row.url).hostname or "", read_at=row.read_at, problem=row.problem)
