"""The catalogue's reads. Each is one statement, whatever the size of the catalogue."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    ColumnExpressionArgument,
    DateTime,
    Integer,
    Uuid,
    bindparam,
    func,
    literal_column,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased
from sqlmodel import col, exists, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import Select, SelectOfScalar

from api.catalogue.availability import taken
from api.http.pagination import Cursor
from api.http.problems import Kind, Problem
from models.domain.states import HOLDS_SLOT
from models.tables.bookings import BookingRequest
from models.tables.catalogue import SEARCH_DOCUMENT, Offering, Slot
from models.tables.people import Instructor

NOT_WITHDRAWN: ColumnElement[bool] = col(Slot.withdrawn_at).is_(None)
"""Of the slot only: its offering may have been withdrawn."""
_OFFERINGS = select(Offering, Instructor).join(Instructor, col(Instructor.id) == col(Offering.instructor_id))


@dataclass(frozen=True)
class OfferingFilter:
    instructor_id: UUID | None = None
    starts_after: datetime | None = None
    starts_before: datetime | None = None
    """Keeps offerings with a free slot between the two."""
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
    row = (await session.exec(_OFFERINGS.where(col(Offering.id) == offering_id))).first()
    return OfferingRecord(*row) if row else None


async def own_offering(session: AsyncSession, offering_id: UUID, instructor_id: UUID) -> OfferingRecord:
    """Raises the 404 `Problem` for an unknown offering, the 403 one for another instructor's."""
    record = await offering(session, offering_id)
    if record is None:
        raise Problem(Kind.NOT_FOUND, "There is no such offering.")
    if record.instructor.id != instructor_id:
        raise Problem(Kind.NOT_YOURS, "Only the offering's instructor can change it.")
    return record


async def offerings(
    session: AsyncSession, filters: OfferingFilter, now: datetime, after: Cursor | None, limit: int
) -> Sequence[OfferingRecord]:
    """Newest first."""
    conditions = _conditions(filters, now)
    if after is not None:
        conditions.append(tuple_(col(Offering.created_at), col(Offering.id)) < tuple_(after.at, after.id))
    statement, listed = _OFFERINGS.where(*conditions), Offering
    if filters.words is not None:
        # To be found before they are sorted: Postgres takes rare words for frequent ones, and would look through all
        # offerings, newest first, for a page of them.
        found = statement.with_only_columns(Offering).cte("found").prefix_with("MATERIALIZED")
        listed = aliased(Offering, found)
        statement = select(listed, Instructor).join(Instructor, col(Instructor.id) == col(listed.instructor_id))
    newest = (col(listed.created_at).desc(), col(listed.id).desc())
    return [OfferingRecord(*row) for row in await session.exec(statement.order_by(*newest).limit(limit))]


def _conditions(filters: OfferingFilter, now: datetime) -> list[ColumnExpressionArgument[bool]]:
    conditions: list[ColumnExpressionArgument[bool]] = []
    if not filters.with_withdrawn:
        conditions += [col(Offering.is_active), col(Instructor.suspended_at).is_(None)]
    if filters.instructor_id is not None:
        conditions.append(col(Offering.instructor_id) == filters.instructor_id)
    if filters.currency is not None:
        conditions.append(col(Offering.currency) == filters.currency)
    if filters.price_min_minor is not None:
        conditions.append(col(Offering.price_minor) >= filters.price_min_minor)
    if filters.price_max_minor is not None:
        conditions.append(col(Offering.price_minor) <= filters.price_max_minor)
    if filters.words is not None:
        conditions.append(literal_column(SEARCH_DOCUMENT).bool_op("@@")(func.search_query(filters.words)))
    if filters.starts_after or filters.starts_before:
        window = between(filters.starts_after, filters.starts_before)
        of_offering = (col(Slot.offering_id) == col(Offering.id), NOT_WITHDRAWN)
        conditions.append(exists().where(*of_offering, _is_free(now), *window))
    return conditions


def between(after: datetime | None, before: datetime | None) -> list[ColumnExpressionArgument[bool]]:
    conditions: list[ColumnExpressionArgument[bool]] = []
    if after is not None:
        conditions.append(col(Slot.starts_at) >= after)
    if before is not None:
        conditions.append(col(Slot.starts_at) < before)
    return conditions


async def slots(
    session: AsyncSession, filters: SlotFilter, now: datetime, after: Cursor | None, limit: int
) -> Sequence[SlotRecord]:
    """Earliest first."""
    order = (col(Slot.starts_at), col(Slot.id))
    conditions = [
        col(Slot.offering_id) == filters.offering_id,
        *between(filters.starts_after, filters.starts_before),
    ]
    if filters.only_free:
        conditions.append(_is_free(now))
    if after is not None:
        conditions.append(tuple_(*order) > tuple_(after.at, after.id))
    return await _records(session, _slots_of_offering(now).where(*conditions).order_by(*order).limit(limit))


async def next_free(
    session: AsyncSession, offering_ids: Collection[UUID], now: datetime, count: int
) -> dict[UUID, list[Slot]]:
    """The first `count` free slots of each offering, earliest first."""
    found: dict[UUID, list[Slot]] = {id: [] for id in offering_ids}
    values = {"offering_ids": list(offering_ids), "now": now, "count": count}
    for row in await session.exec(_next_free(), params=values):
        found[row.offering_id].append(row)
    return found


@cache
def _next_free() -> SelectOfScalar[Slot]:
    """Built once: that takes longer than to run it."""
    wanted = select(func.unnest(bindparam("offering_ids", type_=ARRAY(Uuid()))).label("id")).subquery()
    free = (
        select(Slot)
        .join(Offering, col(Offering.id) == col(Slot.offering_id))
        .where(col(Slot.offering_id) == wanted.c.id, NOT_WITHDRAWN, _is_free(bindparam("now", type_=DateTime(True))))
        .order_by(col(Slot.starts_at))
        .limit(bindparam("count", type_=Integer()))
        .lateral()
    )
    slot = aliased(Slot, free)
    return select(slot).select_from(wanted).join(free, true()).order_by(col(slot.starts_at))


async def slots_at(
    session: AsyncSession, offering_id: UUID, starts: Sequence[datetime], now: datetime
) -> Sequence[SlotRecord]:
    """Earliest first."""
    matching = (col(Slot.offering_id) == offering_id, col(Slot.starts_at).in_(starts))
    return await _records(session, _slots_of_offering(now).where(*matching).order_by(col(Slot.starts_at)))


async def booked_slot(session: AsyncSession, offering_id: UUID, slot_id: UUID) -> tuple[Slot, UUID | None] | None:
    """The slot, and the open booking that holds it, if any."""
    holds_it = (col(BookingRequest.slot_id) == col(Slot.id)) & col(BookingRequest.status).in_(HOLDS_SLOT)
    statement = (
        select(Slot, BookingRequest.id)
        .outerjoin(BookingRequest, holds_it)
        .where(col(Slot.id) == slot_id, col(Slot.offering_id) == offering_id, NOT_WITHDRAWN)
    )
    row = (await session.exec(statement)).first()
    return (row[0], row[1]) if row else None


def _is_free(now: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    notice = func.make_interval(0, 0, 0, 0, 0, col(Offering.min_notice_minutes))
    instructor = aliased(Instructor)  # The statement around this may have joined the table itself.
    suspended = exists().where(col(instructor.id) == col(Slot.instructor_id), col(instructor.suspended_at).is_not(None))
    in_time = (col(Slot.starts_at) > now) & (col(Slot.starts_at) >= now + notice)
    return in_time & col(Offering.is_active) & ~suspended & ~taken()


def _slots_of_offering(now: datetime) -> Select[Slot, bool]:
    return select(Slot, _is_free(now)).join(Offering, col(Offering.id) == col(Slot.offering_id)).where(NOT_WITHDRAWN)


async def _records(session: AsyncSession, statement: Select[Slot, bool]) -> Sequence[SlotRecord]:
    return [SlotRecord(*row) for row in await session.exec(statement)]
