"""An offering's slots: anyone can list them, its instructor adds and withdraws them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from sqlmodel import col

from api.catalogue import commands, presenters, queries
from api.catalogue.queries import SlotFilter
from api.catalogue.schemas import MAX_SLOTS, NewSlots, SlotPage, SlotsCreated, SlotsWithdrawn
from api.http.auth import AsInstructor
from api.http.database import WithDatabase
from api.http.idempotency import OptionalKey, register
from api.http.pagination import PageParams, next_cursor
from api.http.problems import Kind, Problem, problem_responses
from api.http.representations import REVALIDATED
from api.http.schema_types import RequestTime
from api.settings import WithSettings
from models.domain import ids
from models.domain.recurrence import occurrences
from models.tables.catalogue import Slot

router = APIRouter(prefix="/v1/offerings/{offering_id}/slots", tags=["catalogue"])

_MAX_AHEAD = timedelta(days=2 * 366)


@router.post(
    "",
    operation_id="createSlots",
    status_code=201,
    responses=problem_responses(
        Kind.NOT_SIGNED_IN,
        Kind.WRONG_ROLE,
        Kind.NOT_YOURS,
        Kind.NOT_FOUND,
        Kind.IDEMPOTENCY_KEY_REQUIRED,
        Kind.IDEMPOTENCY_KEY_REUSED,
        Kind.CONTENT_TOO_LARGE,
        Kind.REQUEST_INVALID,
        Kind.SLOTS_NOT_POSSIBLE,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
)
async def create_slots(
    offering_id: UUID,
    new: NewSlots,
    caller: AsInstructor,
    database: WithDatabase,
    settings: WithSettings,
    key: OptionalKey = None,
) -> SlotsCreated:
    """Add one slot, or a weekly series at the same wall-clock time. Slots that exist already are left unchanged.

    A repeated `Idempotency-Key` adds nothing: slots that were withdrawn since stay withdrawn.
    """
    now = datetime.now(UTC)
    async with database.reading() as session:
        record = await queries.own_offering(session, offering_id, caller.id)
    starts = _starts(new, record.instructor.time_zone, now)
    id = ids.creation_id(caller.id, f"slots of {offering_id}", key) if key else None
    async with database.writing() as session:
        if id is None or await register(session, id, new, now):
            await commands.add_slots(session, record.offering, starts, caller, now)
        slots = await queries.slots_at(session, offering_id, starts, now)
    return SlotsCreated(data=[presenters.slot(slot, settings.policy, now) for slot in slots])


@router.get(
    "",
    operation_id="listSlots",
    dependencies=REVALIDATED["dependencies"],
    responses=REVALIDATED["responses"]
    | problem_responses(Kind.CURSOR_UNKNOWN, Kind.NOT_FOUND, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE),
)
async def list_slots(
    offering_id: UUID,
    page: PageParams,
    database: WithDatabase,
    settings: WithSettings,
    starts_after: Annotated[RequestTime | None, Query(description="Slots that start at or after this time.")] = None,
    starts_before: Annotated[RequestTime | None, Query(description="Slots that start before this time.")] = None,
    only_free: Annotated[bool, Query(description="`false` includes slots that are taken or have started.")] = True,
) -> SlotPage:
    """Earliest first. A slot is not free while a student pays for it, and free again if they do not pay in time."""
    now = datetime.now(UTC)
    filters = SlotFilter(offering_id, starts_after, starts_before, only_free)
    async with database.reading() as session:
        found = await queries.slots(session, filters, now, page.after, page.limit + 1)
        if not found and await queries.offering(session, offering_id) is None:
            raise Problem(Kind.NOT_FOUND, "There is no such offering.")
    return SlotPage(
        data=[presenters.slot(record, settings.policy, now) for record in found[: page.limit]],
        next_cursor=next_cursor(found, page.limit, lambda last: (last.slot.starts_at, last.slot.id)),
    )


_WITHDRAWAL_ERRORS = (
    Kind.NOT_SIGNED_IN,
    Kind.WRONG_ROLE,
    Kind.NOT_YOURS,
    Kind.NOT_FOUND,
    Kind.REQUEST_INVALID,
    Kind.INTERNAL,
    Kind.UNAVAILABLE,
)


@router.delete("", operation_id="withdrawSlots", responses=problem_responses(*_WITHDRAWAL_ERRORS))
async def withdraw_slots(
    offering_id: UUID,
    starts_after: Annotated[RequestTime, Query(description="Slots that start at or after this time.")],
    caller: AsInstructor,
    database: WithDatabase,
    starts_before: Annotated[RequestTime | None, Query(description="Slots that start before this time.")] = None,
) -> SlotsWithdrawn:
    """Withdraw all slots of a period, such as a holiday, except those that are booked or being paid for."""
    async with database.writing() as session:
        record = await queries.own_offering(session, offering_id, caller.id)
        window = queries.between(starts_after, starts_before)
        return await commands.withdraw_slots(session, record.offering, window, caller, datetime.now(UTC))


@router.delete(
    "/{slot_id}",
    operation_id="withdrawSlot",
    status_code=204,
    responses=problem_responses(*_WITHDRAWAL_ERRORS, Kind.SLOT_TAKEN, Kind.SLOT_IN_THE_PAST),
)
async def withdraw_slot(offering_id: UUID, slot_id: UUID, caller: AsInstructor, database: WithDatabase) -> None:
    """Withdraw a slot that is neither booked nor being paid for. The same time can be offered again."""
    now = datetime.now(UTC)
    async with database.writing() as session:
        record = await queries.own_offering(session, offering_id, caller.id)
        result = await commands.withdraw_slots(session, record.offering, [col(Slot.id) == slot_id], caller, now)
        if not result.withdrawn:
            raise _not_withdrawable(await queries.booked_slot(session, offering_id, slot_id), now)


def _not_withdrawable(found: tuple[Slot, UUID | None] | None, now: datetime) -> Problem:
    if found is None:
        return Problem(Kind.NOT_FOUND, "There is no such slot.")
    slot, booking_id = found
    if slot.starts_at <= now:
        return Problem(Kind.SLOT_IN_THE_PAST, "It is no longer offered, so there is nothing to withdraw.")
    detail = "The slot is booked. Cancel the booking first, and then withdraw the slot."
    return Problem(Kind.SLOT_TAKEN, detail, booking_id=booking_id and str(booking_id))


def _starts(new: NewSlots, default_zone: str, now: datetime) -> Sequence[datetime]:
    """When the requested slots start, earliest first. Raises the 422 `Problem` unless all of them can be offered."""
    latest = now + _MAX_AHEAD
    if new.starts_at is not None:
        starts = [new.starts_at]
    else:
        assert new.weekly is not None
        if new.weekly.from_ > latest.date():
            raise _not_possible(f"They start after {latest:%Y-%m-%d}, the last day that can be offered.")
        try:
            # One more than allowed, to detect too many; a rule may have no practical end.
            starts = list(islice(occurrences(new.weekly.rule(default_zone)), MAX_SLOTS + 1))
        except ValueError as error:
            raise _not_possible(f"Your account's time zone is {error}. Send a `time_zone`.") from error
        except OverflowError as error:
            # East of Greenwich, 0001-01-01 begins before the first moment that `datetime` can represent in UTC.
            raise _not_possible("They start in the past. Send a later time.") from error
    if not starts:
        raise _not_possible("The rule has no such day. Send a later end, or other days.")
    if len(starts) > MAX_SLOTS:
        raise _not_possible(f"At most {MAX_SLOTS} slots can be added at a time. Send several requests.")
    if starts[0] <= now:
        raise _not_possible("They start in the past. Send a later time.")
    if starts[-1] > latest:
        raise _not_possible(f"They continue after {latest:%Y-%m-%d}, the last day that can be offered.")
    return starts


def _not_possible(detail: str) -> Problem:
    return Problem(Kind.SLOTS_NOT_POSSIBLE, detail)
