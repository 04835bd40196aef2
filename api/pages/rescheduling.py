"""Move a session to another time: one side proposes, the other accepts."""

from datetime import UTC, datetime
from uuid import UUID

from fastapi import Response

from api.bookings import rescheduling
from api.bookings.decision_handler import WithDecisionHandler
from api.bookings.rescheduling import RescheduleRequest
from api.bookings.routes import get_booking
from api.catalogue import slots
from api.http.auth import AsEitherSide, Caller
from api.http.database import Database, WithDatabase
from api.http.pagination import Page as PageOfList
from api.http.pagination import PageParams
from api.http.problems import Problem
from api.pages.decisions import decided
from api.pages.forms import Typed, TypedForm
from api.pages.page import Page, WithPage, page_router
from api.settings import Settings, WithSettings

router = page_router()

_RESCHEDULE = "/bookings/{booking_id}/reschedule"


@router.get(_RESCHEDULE)
async def propose_form(
    booking_id: UUID,
    page: WithPage,
    caller: AsEitherSide,
    database: WithDatabase,
    settings: WithSettings,
    position: PageParams,
) -> Response:
    return await _form(page, booking_id, caller, database, settings, Typed(), position)


@router.post(_RESCHEDULE)
async def propose(
    booking_id: UUID,
    page: WithPage,
    typed: TypedForm,
    caller: AsEitherSide,
    database: WithDatabase,
    settings: WithSettings,
    position: PageParams,
) -> Response:
    """`position` is the page of times that the form was on: the chosen one is shown again."""
    try:
        await rescheduling.propose(booking_id, typed.read(RescheduleRequest), caller, database)
    except Problem as problem:
        refused = typed.refused(problem, page)
        return await _form(page, booking_id, caller, database, settings, refused, position, problem.status_code)
    return page.redirect(f"/bookings/{booking_id}", page.say("The other side has your proposal, and gets an email."))


@router.post(f"{_RESCHEDULE}/accept")
async def accept(
    booking_id: UUID,
    page: WithPage,
    typed: TypedForm,
    caller: AsEitherSide,
    database: WithDatabase,
    handler: WithDecisionHandler,
) -> Response:
    async def move() -> None:
        await rescheduling.accept(booking_id, typed.read(RescheduleRequest), caller, database, handler)

    return await decided(page, booking_id, caller, database, typed, move(), page.say("The session is moved."))


@router.post(f"{_RESCHEDULE}/decline")
async def decline(
    booking_id: UUID, page: WithPage, typed: TypedForm, caller: AsEitherSide, database: WithDatabase
) -> Response:
    done = rescheduling.decline(booking_id, caller, database)
    said = page.say("The session stays where it is.")
    return await decided(page, booking_id, caller, database, typed, done, said)


async def _form(
    page: Page,
    booking_id: UUID,
    caller: Caller,
    database: Database,
    settings: Settings,
    typed: Typed,
    position: PageOfList,
    status: int = 200,
) -> Response:
    """The free times of the same offering, but for the booking's own."""
    booking = await get_booking(booking_id, caller, database)
    found = await slots.list_slots(booking.offering_id, position, database, settings, datetime.now(UTC), None)
    free = [each for each in found.data if each.is_free and each.id != booking.slot_id]
    path = f"/bookings/{booking_id}/reschedule"
    more = page.url(path, cursor=found.next_cursor) if found.next_cursor else None
    shown = str(position.after) if position.after else None
    return page.show("reschedule.html", status, booking=booking, slots=free, cursor=shown, next_page=more, typed=typed)
