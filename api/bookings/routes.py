"""Booking a slot, and reading bookings."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response

from api.bookings import commands, presenters, queries
from api.bookings.client import BookingClient, WithBookingClient
from api.bookings.order import order
from api.bookings.queries import BookingRecord
from api.bookings.schemas import Booking, BookingCreated, BookingForOperator, BookingPage, NewBooking
from api.http.auth import AsAnyRole, AsEitherSide, AsStudent, Caller
from api.http.database import Database, WithDatabase
from api.http.idempotency import in_flight, refuse_another_body
from api.http.pagination import PageParams
from api.http.problems import Kind, Problem, declared, unavailable
from api.http.rate_limits import BOOKINGS, counted
from api.http.temporal import Closed, Refused, Unreachable
from api.settings import WithSettings
from models.domain import ids
from models.domain.messages import Refusal, ReserveSlot

router = APIRouter(prefix="/v1/bookings", tags=["bookings"])

IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x20-\x7e]{1,255}$",
        description="Names this booking: sent again with the same key, the same booking is answered.",
    ),
]

_USER_AGENT_LENGTH = 500

_NO_ANSWER = "The booking is under way but has not answered yet. Send the same request with the same Idempotency-Key."
_PROBLEM_OF = {
    Refusal.SLOT_TAKEN: Kind.SLOT_TAKEN,
    Refusal.CHECKOUT_REFUSED: Kind.CHECKOUT_REFUSED,
    Refusal.NOT_POSSIBLE_NOW: Kind.NOT_POSSIBLE_NOW,
}


@router.post(
    "",
    operation_id="createBooking",
    status_code=201,
    dependencies=[counted(BOOKINGS)],
    responses=declared(
        Kind.IDEMPOTENCY_KEY_REQUIRED,
        Kind.NOT_SIGNED_IN,
        Kind.WRONG_ROLE,
        Kind.NO_ACCOUNT,
        Kind.NOT_FOUND,
        Kind.SLOT_TAKEN,
        Kind.SLOT_IN_THE_PAST,
        Kind.OFFERING_WITHDRAWN,
        Kind.INSTRUCTOR_NOT_PAYABLE,
        Kind.CHECKOUT_REFUSED,
        Kind.BOOKING_CLOSED,
        Kind.BOOKING_DELETED,
        Kind.CONTENT_TOO_LARGE,
        Kind.REQUEST_INVALID,
        Kind.IDEMPOTENCY_KEY_IN_USE,
        Kind.IDEMPOTENCY_KEY_REUSED,
        Kind.PRICE_NOT_CHARGEABLE,
        Kind.SESSION_TOO_FAR_AHEAD,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
)
async def create_booking(
    wanted: NewBooking,
    key: IdempotencyKey,
    student: AsStudent,
    request: Request,
    response: Response,
    database: WithDatabase,
    bookings: WithBookingClient,
    settings: WithSettings,
) -> BookingCreated:
    """Reserve a slot and get the page to pay on. Nothing is charged before the session has taken place."""
    booking_id, now = ids.booking_id(student.id, key), datetime.now(UTC)
    async with database.reading() as session:
        await refuse_another_body(session, student.id, key, wanted)
        record = await queries.booking(session, booking_id, student)
        offer = None if record else await queries.offer(session, wanted.slot_id, student.id, booking_id)
    # Before the key is taken: what cannot be booked leaves it free for something else.
    wish = None if record else order(booking_id, student.id, offer, settings.policy, now)
    async with in_flight(database, student.id, key, wanted, now):
        if wish:
            async with database.writing() as session:
                await commands.keep_acceptance(session, booking_id, *_from_where(request), now)
        record = await _opened(booking_id, wish, record, student, database, bookings)
    response.headers["Location"] = f"{router.prefix}/{booking_id}"
    return presenters.created(record)


async def _opened(
    booking_id: UUID,
    wish: ReserveSlot | None,
    record: BookingRecord | None,
    student: Caller,
    database: Database,
    bookings: BookingClient,
) -> BookingRecord:
    """The booking once its student can pay, or once it has ended. Raises the `Problem` of one that never was."""
    try:
        if wish:
            await bookings.open_checkout(wish)
        elif record and record.is_opening:
            await bookings.join_checkout(booking_id)
    except Refused as refused:
        raise Problem(_PROBLEM_OF[refused.refusal], f"{refused} A new try needs a new Idempotency-Key.") from refused
    except Unreachable as silence:
        raise unavailable(_NO_ANSWER) from silence
    except Closed:
        # What became of the booking stands in Postgres, or it never was.
        record = None
    if record is None or record.is_opening:
        async with database.reading() as session:
            record = await queries.booking(session, booking_id, student)
    if record is None:
        raise Problem(Kind.BOOKING_CLOSED, "This booking has ended. A new try needs a new Idempotency-Key.")
    return record


def _from_where(request: Request) -> tuple[str, str]:
    """Address and user agent of the caller. Behind a proxy the address is what uvicorn takes from its headers."""
    return request.client.host if request.client else "", request.headers.get("User-Agent", "")[:_USER_AGENT_LENGTH]


@router.get(
    "",
    operation_id="listBookings",
    responses=declared(
        Kind.CURSOR_UNKNOWN, Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE
    ),
)
async def list_bookings(caller: AsEitherSide, page: PageParams, database: WithDatabase) -> BookingPage:
    """The caller's own bookings, the newest first."""
    async with database.reading() as session:
        found = await queries.own_bookings(session, caller, page.after, page.limit + 1)
    return BookingPage(
        data=[presenters.booking(record, caller) for record in found[: page.limit]],
        next_cursor=presenters.next_cursor(found, page.limit),
    )


@router.get(
    "/{booking_id}",
    operation_id="getBooking",
    responses=declared(
        Kind.NOT_SIGNED_IN,
        Kind.NOT_FOUND,
        Kind.BOOKING_DELETED,
        Kind.REQUEST_INVALID,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
)
async def get_booking(booking_id: UUID, caller: AsAnyRole, database: WithDatabase) -> BookingForOperator | Booking:
    """One booking, with its session and payment."""
    async with database.reading() as session:
        record = await queries.existing_booking(session, booking_id, caller)
    return presenters.booking(record, caller)
