"""When an offering can be booked: anyone looks, its instructor adds."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api import catalogue, showing_catalogue
from api.catalogue import SlotFilter
from api.catalogue_shapes import SlotPage
from api.database import WithDatabase
from api.paging import AskedPage, next_cursor
from api.problems import Kind, Problem, declared
from api.settings import WithSettings
from api.shapes import AskedTime

router = APIRouter(prefix="/v1/offerings/{offering_id}/slots", tags=["catalogue"])


@router.get(
    "",
    operation_id="listSlots",
    responses=declared(Kind.CURSOR_UNKNOWN, Kind.NOT_FOUND, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE),
)
async def list_slots(
    offering_id: UUID,
    page: AskedPage,
    database: WithDatabase,
    settings: WithSettings,
    starts_after: Annotated[AskedTime | None, Query(description="Those that start then or later.")] = None,
    starts_before: Annotated[AskedTime | None, Query(description="Those that start earlier.")] = None,
    only_free: Annotated[bool, Query(description="`false`: also those that are taken or have begun.")] = True,
) -> SlotPage:
    """The earliest first. A slot that somebody is paying for is not free; one that is not paid for in time is again."""
    now = datetime.now(UTC)
    wanted = SlotFilter(offering_id, starts_after, starts_before, only_free)
    async with database.reading() as session:
        found = await catalogue.slots(session, wanted, now, page.after, page.limit + 1)
        if not found and await catalogue.offering(session, offering_id) is None:
            raise Problem(Kind.NOT_FOUND, "There is no such offering.")
    return SlotPage(
        data=[showing_catalogue.slot(record, settings.policy, now) for record in found[: page.limit]],
        next_cursor=next_cursor(found, page.limit, lambda last: (last.slot.starts_at, last.slot.id)),
    )
