"""The catalogue's queries. Each answers a request's question in one statement, however much is on offer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, ColumnExpressionArgument, func, literal_column, tuple_
from sqlmodel import col, exists, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import Select

from api.catalogue.availability import taken
from api.http.pagination import Cursor
from api.http.problems import Kind, Problem
from models.domain.states import HOLDS_SLOT
from models.tables.bookings import BookingRequest
from models.tables.catalogue import OFFERING_TEXT, Offering, Slot
from models.tables.people import Instructor

_SIMPLE: ColumnElement[str] = literal_column("'simple'")
OFFERED: ColumnElement[bool] = col(Slot.withdrawn_at).is_(None)
"""Of a slot: it is still there for whoever asks. Its offering may have been withdrawn."""
_LISTED = select(Offering, Instructor).join(Instructor, col(Instructor.id) == col(Offering.instructor_id))


@dataclass(frozen=True)
class OfferingFilter:
    instructor_id: UUID | None = None
    starts_after: datetime | None = None
    starts_before: datetime | None = None
    """An offering passes with a free slot between the two."""
    currency: str | None = None
    price_min_minor: int | None = None
    price_max_minor: int | None = None
    words: str | None = None
    with_withdrawn: bool = False


@dataclass(frozen=True)
class SlotFilter:
    offering_id: UUID
    starts_after: datetime | None
    starts_before: datetime | None
    only_free: bool


@dataclass(frozen=True)
class OfferingRecord:
    offering: Offering
    instructor: Instructor


@dataclass(frozen=True)
class SlotRecord:
    slot: Slot
    is_free: bool


async def offering(session: AsyncSession, offering_id: UUID) -> OfferingRecord | None:
    row = (await session.exec(_LISTED.where(col(Offering.id) == offering_id))).first()
    return OfferingRecord(*row) if row else None


async def own_offering(session: AsyncSession, offering_id: UUID, instructor_id: UUID) -> OfferingRecord:
    """Raises the 404 or 403 `Problem` for one that is not the instructor's."""
    record = await offering(session, offering_id)
    if record is None:
        raise Problem(Kind.NOT_FOUND, "There is no such offering.")
    if record.instructor.id != instructor_id:
        raise Problem(Kind.NOT_YOURS, "The offering is another instructor's.")
    return record


async def offerings(
    session: AsyncSession, wanted: OfferingFilter, now: datetime, after: Cursor | None, limit: int
) -> Sequence[OfferingRecord]:
    """The newest first."""
    order = (col(Offering.created_at), col(Offering.id))
    conditions = _conditions(wanted, now)
    if after is not None:
        conditions.append(tuple_(*order) < tuple_(after.at, after.id))
    statement = _LISTED.where(*conditions).order_by(*(column.desc() for column in order)).limit(limit)
    return [OfferingRecord(*row) for row in await session.exec(statement)]


def _conditions(wanted: OfferingFilter, now: datetime) -> list[ColumnExpressionArgument[bool]]:
    conditions: list[ColumnExpressionArgument[bool]] = []
    if not wanted.with_withdrawn:
        conditions.append(col(Offering.is_active))
    if wanted.instructor_id is not None:
        conditions.append(col(Offering.instructor_id) == wanted.instructor_id)
    if wanted.currency is not None:
        conditions.append(col(Offering.currency) == wanted.currency)
    if wanted.price_min_minor is not None:
        conditions.append(col(Offering.price_minor) >= wanted.price_min_minor)
    if wanted.price_max_minor is not None:
        conditions.append(col(Offering.price_minor) <= wanted.price_max_minor)
    if wanted.words is not None:
        conditions.append(literal_column(OFFERING_TEXT).bool_op("@@")(func.to_tsquery(_SIMPLE, _query(wanted.words))))
    if wanted.starts_after or wanted.starts_before:
        window = between(wanted.starts_after, wanted.starts_before)
        of_it = (col(Slot.offering_id) == col(Offering.id), OFFERED)
        conditions.append(exists().where(*of_it, _is_free(now), *window))
    return conditions


def between(after: datetime | None, before: datetime | None) -> list[ColumnExpressionArgument[bool]]:
    conditions: list[ColumnExpressionArgument[bool]] = []
    if after is not None:
        conditions.append(col(Slot.starts_at) >= after)
    if before is not None:
        conditions.append(col(Slot.starts_at) < before)
    return conditions


def _query(words: str) -> str:
    """All of the words, each as the beginning of one: `count pal` finds Palestrina's counterpoint.

    Quoted as PostgreSQL, "Text Search Types", has it, so that nothing in a word is taken for an operator.
    """
    quoted = (word.replace("\\", "\\\\").replace("'", "''") for word in words.split())
    return " & ".join(f"'{word}':*" for word in quoted)


async def slots(
    session: AsyncSession, wanted: SlotFilter, now: datetime, after: Cursor | None, limit: int
) -> Sequence[SlotRecord]:
    """The earliest first."""
    order = (col(Slot.starts_at), col(Slot.id))
    conditions = [
        col(Slot.offering_id) == wanted.offering_id,
        *between(wanted.starts_after, wanted.starts_before),
    ]
    if wanted.only_free:
        conditions.append(_is_free(now))
    if after is not None:
        conditions.append(tuple_(*order) > tuple_(after.at, after.id))
    return await _slots(session, _of_offering(now).where(*conditions).order_by(*order).limit(limit))


async def slots_at(
    session: AsyncSession, offering_id: UUID, starts: Sequence[datetime], now: datetime
) -> Sequence[SlotRecord]:
    """The earliest first."""
    these = (col(Slot.offering_id) == offering_id, col(Slot.starts_at).in_(starts))
    return await _slots(session, _of_offering(now).where(*these).order_by(col(Slot.starts_at)))


async def booked_slot(session: AsyncSession, offering_id: UUID, slot_id: UUID) -> tuple[Slot, UUID | None] | None:
    """The slot, with the open booking that has it."""
    has_it = (col(BookingRequest.slot_id) == col(Slot.id)) & col(BookingRequest.status).in_(HOLDS_SLOT)
    statement = (
        select(Slot, BookingRequest.id)
        .outerjoin(BookingRequest, has_it)
        .where(col(Slot.id) == slot_id, col(Slot.offering_id) == offering_id, OFFERED)
    )
    row = (await session.exec(statement)).first()
    return (row[0], row[1]) if row else None


def _is_free(now: datetime) -> ColumnElement[bool]:
    return (col(Slot.starts_at) > now) & col(Offering.is_active) & ~taken()


def _of_offering(now: datetime) -> Select[Slot, bool]:
    return select(Slot, _is_free(now)).join(Offering, col(Offering.id) == col(Slot.offering_id)).where(OFFERED)


async def _slots(session: AsyncSession, statement: Select[Slot, bool]) -> Sequence[SlotRecord]:
    return [SlotRecord(*row) for row in await session.exec(statement)]
