"""When an offering can be booked: anyone looks, its instructor adds and withdraws."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlmodel import col

from api.catalogue import commands, presenters, queries
from api.catalogue.queries import SlotFilter
from api.catalogue.schemas import MOST_SLOTS, NewSlots, SlotPage, SlotsCreated, SlotsWithdrawn
from api.http.auth import AsInstructor
from api.http.database import WithDatabase
from api.http.pagination import PageParams, next_cursor
from api.http.problems import Kind, Problem, declared
from api.http.schema_types import RequestTime
from api.settings import WithSettings
from models.domain.recurrence import occurrences
from models.tables.catalogue import Slot

router = APIRouter(prefix="/v1/offerings/{offering_id}/slots", tags=["catalogue"])

_FURTHEST = timedelta(days=2 * 366)


@router.post(
    "",
    operation_id="createSlots",
    status_code=201,
    responses=declared(
        Kind.NOT_SIGNED_IN,
        Kind.WRONG_ROLE,
        Kind.NOT_YOURS,
        Kind.NOT_FOUND,
        Kind.CONTENT_TOO_LARGE,
        Kind.REQUEST_INVALID,
        Kind.SLOTS_NOT_POSSIBLE,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
)
async def create_slots(
    offering_id: UUID, wanted: NewSlots, caller: AsInstructor, database: WithDatabase, settings: WithSettings
) -> SlotsCreated:
    """Offer one time, or the same wall-clock time every week. Sending the same again adds nothing."""
    now = datetime.now(UTC)
    async with database.reading() as session:
        record = await queries.own_offering(session, offering_id, caller.id)
    starts = _starts(wanted, record.instructor.time_zone, now)
    async with database.writing() as session:
        await commands.add_slots(session, record.offering, starts, now)
        slots = await queries.slots_at(session, offering_id, starts, now)
    return SlotsCreated(data=[presenters.slot(slot, settings.policy, now) for slot in slots])


@router.get(
    "",
    operation_id="listSlots",
    responses=declared(Kind.CURSOR_UNKNOWN, Kind.NOT_FOUND, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE),
)
async def list_slots(
    offering_id: UUID,
    page: PageParams,
    database: WithDatabase,
    settings: WithSettings,
    starts_after: Annotated[RequestTime | None, Query(description="Those that start then or later.")] = None,
    starts_before: Annotated[RequestTime | None, Query(description="Those that start earlier.")] = None,
    only_free: Annotated[bool, Query(description="`false`: also those that are taken or have begun.")] = True,
) -> SlotPage:
    """The earliest first. A slot that somebody is paying for is not free; one that is not paid for in time is again."""
    now = datetime.now(UTC)
    wanted = SlotFilter(offering_id, starts_after, starts_before, only_free)
    async with database.reading() as session:
        found = await queries.slots(session, wanted, now, page.after, page.limit + 1)
        if not found and await queries.offering(session, offering_id) is None:
            raise Problem(Kind.NOT_FOUND, "There is no such offering.")
    return SlotPage(
        data=[presenters.slot(record, settings.policy, now) for record in found[: page.limit]],
        next_cursor=next_cursor(found, page.limit, lambda last: (last.slot.starts_at, last.slot.id)),
    )


_WITHDRAWING = (
    Kind.NOT_SIGNED_IN,
    Kind.WRONG_ROLE,
    Kind.NOT_YOURS,
    Kind.NOT_FOUND,
    Kind.REQUEST_INVALID,
    Kind.INTERNAL,
    Kind.UNAVAILABLE,
)


@router.delete("", operation_id="withdrawSlots", responses=declared(*_WITHDRAWING))
async def withdraw_slots(
    offering_id: UUID,
    starts_after: Annotated[RequestTime, Query(description="Those that start then or later.")],
    caller: AsInstructor,
    database: WithDatabase,
    starts_before: Annotated[RequestTime | None, Query(description="Those that start earlier.")] = None,
) -> SlotsWithdrawn:
    """Withdraw all slots of a time, for a holiday, say, but for those that are booked or being paid for."""
    async with database.writing() as session:
        record = await queries.own_offering(session, offering_id, caller.id)
        window = queries.between(starts_after, starts_before)
        return await commands.withdraw_slots(session, record.offering, window, datetime.now(UTC))


@router.delete(
    "/{slot_id}",
    operation_id="withdrawSlot",
    status_code=204,
    responses=declared(*_WITHDRAWING, Kind.SLOT_TAKEN, Kind.SLOT_IN_THE_PAST),
)
async def withdraw_slot(offering_id: UUID, slot_id: UUID, caller: AsInstructor, database: WithDatabase) -> None:
    """Withdraw one that nobody has booked or is paying for. The same time can be offered again."""
    now = datetime.now(UTC)
    async with database.writing() as session:
        record = await queries.own_offering(session, offering_id, caller.id)
        done = await commands.withdraw_slots(session, record.offering, [col(Slot.id) == slot_id], now)
        if not done.withdrawn:
            _refuse(await queries.booked_slot(session, offering_id, slot_id), now)


def _refuse(found: tuple[Slot, UUID | None] | None, now: datetime) -> None:
    """Raises the `Problem` that keeps the slot from being withdrawn."""
    if found is None:
        raise Problem(Kind.NOT_FOUND, "There is no such slot.")
    slot, booking_id = found
    if slot.starts_at <= now:
        raise Problem(Kind.SLOT_IN_THE_PAST, "It is not offered any more: there is nothing to withdraw.")
    sentence = "A booking has it. Cancel the booking first; then the slot can be withdrawn."
    raise Problem(Kind.SLOT_TAKEN, sentence, booking_id=booking_id and str(booking_id))


def _starts(wanted: NewSlots, instructors_zone: str, now: datetime) -> Sequence[datetime]:
    """Raises the `Problem` when not all of them can be offered."""
    latest = now + _FURTHEST
    if wanted.starts_at is not None:
        starts = [wanted.starts_at]
    else:
        assert wanted.weekly is not None
        if wanted.weekly.from_ > latest.date():
            raise _refused(f"It begins after {latest:%Y-%m-%d}, the furthest day that can be offered.")
        try:
            # One more than there may be, to tell; a rule may go on to the end of time.
            starts = list(islice(occurrences(wanted.weekly.rule(instructors_zone)), MOST_SLOTS + 1))
        except ValueError as error:
            raise _refused(f"Your account's time zone is {error}; send one.") from error
        except OverflowError as error:
            # The first day of the calendar begins before it, east of Greenwich.
            raise _refused("It begins in the past.") from error
    if not starts:
        raise _refused("There is no such day in that time.")
    if len(starts) > MOST_SLOTS:
        raise _refused(f"At most {MOST_SLOTS} slots can be added at a time.")
    if starts[0] <= now:
        raise _refused("It begins in the past.")
    if starts[-1] > latest:
        raise _refused(f"It goes beyond {latest:%Y-%m-%d}, the furthest day that can be offered.")
    return starts


def _refused(why: str) -> Problem:
    return Problem(Kind.SLOTS_NOT_POSSIBLE, why)
