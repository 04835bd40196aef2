"""How every decision goes: has the caller such a booking, what does its workflow say, how does it stand now."""

from typing import Any, TypeVar
from uuid import UUID

from fastapi import Response

from api import reading, showing
from api.auth import Caller
from api.database import Database
from api.problems import Kind, Problem, declared, unavailable
from api.reading import BookingRecord
from api.saga import Closed, Refused, Saga, Unreachable, Update
from api.shapes import Booking, BookingForOperator
from models.messages import Decision

D = TypeVar("D", bound=Decision)

DECISION_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {
        "model": BookingForOperator | Booking,
        "description": "The decision is taken and will be carried out; the booking is shown as it stands now.",
    },
    **declared(
        Kind.NOT_SIGNED_IN,
        Kind.WRONG_ROLE,
        Kind.NOT_FOUND,
        Kind.NOT_POSSIBLE_NOW,
        Kind.BOOKING_CLOSED,
        Kind.BOOKING_DELETED,
        Kind.CONTENT_TOO_LARGE,
        Kind.REQUEST_INVALID,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
}


async def decide(
    booking_id: UUID,
    caller: Caller,
    update: Update[D],
    decision: D,
    response: Response,
    database: Database,
    saga: Saga,
) -> Booking:
    """The booking as the caller sees it afterwards. Raises the `Problem` that the caller is to get."""
    await find(booking_id, caller, database)
    try:
        carried_out = await saga.decide(booking_id, update, decision)
    except Refused as refused:
        raise await _conflict(Kind.NOT_POSSIBLE_NOW, str(refused), booking_id, caller, database) from refused
    except Closed as closed:
        sentence = "Nothing can be decided about it any more."
        raise await _conflict(Kind.BOOKING_CLOSED, sentence, booking_id, caller, database) from closed
    except Unreachable as silence:
        raise unavailable("The decision was not taken; send it again.") from silence
    if not carried_out:
        response.status_code = 202
    return showing.booking(await find(booking_id, caller, database), caller)


async def find(booking_id: UUID, caller: Caller, database: Database) -> BookingRecord:
    async with database.reading() as session:
        return await reading.existing_booking(session, booking_id, caller)


async def _conflict(kind: Kind, sentence: str, booking_id: UUID, caller: Caller, database: Database) -> Problem:
    record = await find(booking_id, caller, database)
    return Problem(kind, sentence, booking_status=record.request.status)
