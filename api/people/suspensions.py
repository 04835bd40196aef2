"""Operator routes for people: find, suspend and reinstate them.

A suspended person's tokens end, and they cannot sign in. Nothing of a suspended instructor is listed or can be booked.
Open bookings continue until an operator decides otherwise, so the answer lists them.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter, Query
from sqlalchemy import ColumnElement, Row, func, literal, literal_column, tuple_, union_all
from sqlmodel import col, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from api.http import pagination
from api.http.auth import AsOperator, Caller
from api.http.database import WithDatabase
from api.http.pagination import Page, PageParams
from api.http.problems import Kind, Problem, problem_responses
from api.http.service_tokens import revoke_service_tokens
from api.people.queries import TABLES
from api.people.schemas import OpenBooking, PersonForOperator, PersonPage, Suspension
from models.domain.actors import SignUpRole, Subject
from models.domain.states import HOLDS_SLOT
from models.meeting_rooms import change_rooms_of
from models.tables.audit import event_about
from models.tables.bookings import BookingRequest
from models.tables.credentials import Credential
from models.tables.people import NAME_TEXT

router = APIRouter(prefix="/v1/operator/people", tags=["operator"])

_ERRORS = (Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE)
_OPEN_BOOKINGS = 100


@router.get("", operation_id="listPeople", responses=problem_responses(Kind.CURSOR_UNKNOWN, *_ERRORS))
async def find_people(
    operator: AsOperator,
    page: PageParams,
    database: WithDatabase,
    q: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=200,
            pattern=r"^[^\x00]*\S[^\x00]*$",
            description="An id, the beginning of an address, or words that the name has.",
        ),
    ] = None,
) -> PersonPage:
    """Students and instructors, newest first."""
    async with database.reading() as session:
        found = await _find(session, q, page)
    return PersonPage(
        data=[PersonForOperator.model_validate(row, from_attributes=True) for row in found[: page.limit]],
        next_cursor=pagination.next_cursor(found, page.limit, lambda row: (row.created_at, row.id)),
    )


@router.post(
    "/{person_id}/suspend",
    operation_id="suspendPerson",
    responses=problem_responses(*_ERRORS, Kind.NOT_FOUND),
)
async def suspend(person_id: UUID, operator: AsOperator, database: WithDatabase) -> Suspension:
    """Suspend a person: their tokens end, they cannot sign in, and their offerings are no longer listed or booked."""
    now = datetime.now(UTC)
    async with database.writing() as session:
        if await _set_suspended(session, person_id, now):
            # Ends the tokens and mailed links of now, also for after the reinstatement.
            ended = {"generation": Credential.generation + 1, "updated_at": now}
            await session.exec(update(Credential).where(col(Credential.person_id) == person_id).values(ended))
            await change_rooms_of(session, person_id)
            await revoke_service_tokens(session, person_id, now)
            _audit(session, person_id, "person.suspended", operator, now)
        return await _suspension(session, person_id)


@router.post(
    "/{person_id}/reinstate",
    operation_id="reinstatePerson",
    responses=problem_responses(*_ERRORS, Kind.NOT_FOUND),
)
async def reinstate(person_id: UUID, operator: AsOperator, database: WithDatabase) -> Suspension:
    """End a suspension. The person signs in again, and their offerings are as before."""
    async with database.writing() as session:
        if await _set_suspended(session, person_id, None):
            _audit(session, person_id, "person.reinstated", operator, datetime.now(UTC))
        return await _suspension(session, person_id)


async def _set_suspended(session: AsyncSession, person_id: UUID, at: datetime | None) -> bool:
    """Whether this changed something. In each role that the person has."""
    changed = 0
    for table in TABLES.values():
        changes = col(table.suspended_at).is_(None) if at else col(table.suspended_at).is_not(None)
        statement = update(table).where(col(table.id) == person_id, changes).values(suspended_at=at)
        changed += (await session.exec(statement)).rowcount
    return changed > 0


def _audit(session: AsyncSession, person_id: UUID, action: str, operator: Caller, now: datetime) -> None:
    session.add(
        event_about(Subject.PERSON, person_id, action, operator.actor, operator.channel, now, occasion=now.isoformat())
    )


async def _suspension(session: AsyncSession, person_id: UUID) -> Suspension:
    """The person's state and open bookings. Raises the 404 `Problem` for nobody."""
    of_person = (sa.select(col(table.suspended_at)).where(col(table.id) == person_id) for table in TABLES.values())
    states = (await (await session.connection()).execute(union_all(*of_person))).all()
    if not states:
        raise Problem(Kind.NOT_FOUND, "There is no such student or instructor.")
    is_open = (
        or_(col(BookingRequest.student_id) == person_id, col(BookingRequest.instructor_id) == person_id),
        col(BookingRequest.status).in_(HOLDS_SLOT),
    )
    order = (col(BookingRequest.starts_at), col(BookingRequest.id))
    found = await session.exec(select(BookingRequest).where(*is_open).order_by(*order).limit(_OPEN_BOOKINGS))
    return Suspension(
        id=person_id,
        suspended_at=max((at for (at,) in states if at), default=None),
        open_bookings=[OpenBooking.model_validate(row, from_attributes=True) for row in found],
    )


async def _find(session: AsyncSession, q: str | None, page: Page) -> Sequence[Row[Any]]:
    """One row more than the page has."""
    people = union_all(*(_page_of(role, q, page).subquery().select() for role in TABLES)).subquery()
    newest = (people.c.created_at.desc(), people.c.id.desc(), people.c.role)
    connection = await session.connection()
    return (await connection.execute(people.select().order_by(*newest).limit(page.limit + 1))).all()


def _page_of(role: SignUpRole, q: str | None, page: Page) -> sa.Select[Any]:
    table = TABLES[role]
    names = ("id", "email", "name", "time_zone", "created_at", "suspended_at")
    everyone = sa.select(literal(role.value).label("role"), *(getattr(table, name) for name in names))
    people = _matching(everyone, role, q).cte(f"{role}s").prefix_with("MATERIALIZED") if q else everyone.subquery()
    listed = people.select().order_by(people.c.created_at.desc(), people.c.id.desc()).limit(page.limit + 1)
    if page.after is None:
        return listed
    return listed.where(tuple_(people.c.created_at, people.c.id) < tuple_(page.after.at, page.after.id))


def _matching(everyone: sa.Select[Any], role: SignUpRole, q: str) -> sa.Select[Any] | sa.CompoundSelect[Any]:
    """To be found before they are sorted: Postgres takes rare words for frequent ones, and would look through all
    people, newest first, for a page of them.
    """
    table = TABLES[role]
    try:
        return everyone.where(col(table.id) == UUID(q.strip()))
    except ValueError:
        name_text: ColumnElement[Any] = literal_column(NAME_TEXT.format(table=table.__tablename__))
        by_name = everyone.where(name_text.bool_op("@@")(func.search_query(q)))
        by_address = everyone.where(col(table.email).startswith(q.strip().lower(), autoescape=True))
        # With OR, the words of each match would be computed again.
        return by_name.union(by_address)
