"""Create, list and read bookings."""

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlmodel.ext.asyncio.session import AsyncSession

from api.bookings import commands, presenters, queries, rationing
from api.bookings.client import BookingClient, WithBookingClient
from api.bookings.filters import AnyonesFilter
from api.bookings.interruptions import interrupted
from api.bookings.order import order
from api.bookings.queries import BookingRecord
from api.bookings.schemas import Booking, BookingCreated, BookingForOperator, BookingPage, NewBooking
from api.bookings.spending import spend
from api.http.auth import AsAnyRole, AsEitherSide, AsStudent, Caller
from api.http.database import Database, WithDatabase
from api.http.idempotency import RequiredKey, is_repeated, register
from api.http.pagination import PageParams
from api.http.problems import LOCATED, Kind, Problem, problem_responses, unavailable
from api.http.rate_limits import BOOKINGS, WithRateLimiter
from api.http.temporal import Closed, Refused, Unreachable
from api.reconciliation.routes import WithReconciliationClient
from api.settings import Settings, WithSettings
from models.domain import ids
from models.domain.messages import Refusal, ReserveSlot
from models.domain.rationing import BookingLimits, LimitReached, limit_reached
from models.rationing import standing as standing_of_student

router = APIRouter(prefix="/v1/bookings", tags=["bookings"])

_USER_AGENT_LENGTH = 500

_NOT_OPEN_YET = "The booking is still being created. Send the same request again, with the same Idempotency-Key."
_PROBLEM_KINDS = {
    Refusal.SLOT_TAKEN: Kind.SLOT_TAKEN,
    Refusal.CHECKOUT_REFUSED: Kind.CHECKOUT_REFUSED,
    Refusal.NOT_POSSIBLE_NOW: Kind.NOT_POSSIBLE_NOW,
}


@router.post(
    "",
    operation_id="createBooking",
    status_code=201,
    responses=LOCATED
    | problem_responses(
        Kind.IDEMPOTENCY_KEY_REQUIRED,
        Kind.NOT_SIGNED_IN,
        Kind.WRONG_ROLE,
        Kind.NO_ACCOUNT,
        Kind.ADDRESS_NOT_VERIFIED,
        Kind.SPEND_LIMIT_REACHED,
        Kind.NOT_FOUND,
        Kind.SLOT_TAKEN,
        Kind.SLOT_IN_THE_PAST,
        Kind.NOTICE_TOO_SHORT,
        *rationing.PROBLEMS,
        Kind.PRICE_CHANGED,
        Kind.POLICY_CHANGED,
        Kind.OFFERING_WITHDRAWN,
        Kind.OWN_OFFERING,
        Kind.INSTRUCTOR_NOT_PAYABLE,
        Kind.CHECKOUT_REFUSED,
        Kind.BOOKING_CLOSED,
        Kind.BOOKING_INTERRUPTED,
        Kind.BOOKING_DELETED,
        Kind.CONTENT_TOO_LARGE,
        Kind.REQUEST_INVALID,
        Kind.IDEMPOTENCY_KEY_REUSED,
        Kind.PRICE_NOT_CHARGEABLE,
        Kind.SESSION_TOO_FAR_AHEAD,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
)
async def create_booking(
    new_booking: NewBooking,
    key: RequiredKey,
    student: AsStudent,
    request: Request,
    response: Response,
    limiter: WithRateLimiter,
    database: WithDatabase,
    client: WithBookingClient,
    reconciliations: WithReconciliationClient,
    settings: WithSettings,
) -> BookingCreated:
    """Reserve a slot and get the URL of the payment page. Nothing is charged before the session has taken place."""
    booking_id, now = ids.booking_id(student.id, key), datetime.now(UTC)
    async with database.reading() as session:
        if not await is_repeated(session, booking_id, new_booking):
            await limiter.count(BOOKINGS)
        record = await queries.booking(session, booking_id, student)
        # Checked before the key is used, so that a slot that cannot be booked does not use it up.
        reservation = None if record else await _reservation(session, booking_id, student, new_booking, settings, now)
    if reservation:
        async with database.writing() as session:
            await register(session, booking_id, new_booking, now)
            if student.token_id:
                await spend(session, student.token_id, booking_id, reservation[0].terms.price, now)
            await commands.record_acceptance(session, booking_id, *_client_of(request), now)
    record = await _open_checkout(booking_id, reservation, record, student, database, client, settings.policy.limits)
    if record.is_opening:
        raise await interrupted(record, reconciliations)
    response.headers["Location"] = f"{router.prefix}/{booking_id}"
    return presenters.created(record)


async def _reservation(
    session: AsyncSession,
    booking_id: UUID,
    student: Caller,
    new_booking: NewBooking,
    settings: Settings,
    now: datetime,
) -> tuple[ReserveSlot, str]:
    """The order, and the offering's title. Raises a `Problem` if this student cannot book the slot now."""
    verified_only = settings.http.verifies_addresses
    offer = await queries.offer(session, new_booking.slot_id, student.id, booking_id, verified_only)
    if offer is None:
        raise Problem(Kind.NOT_FOUND, "There is no such slot.")
    reservation = order(booking_id, student.id, new_booking, offer, settings.policy, now)
    starts_at, ends_at = offer.slot.starts_at, offer.slot.ends_at
    standing = await standing_of_student(session, student.id, starts_at, ends_at, now, but_for=booking_id)
    # Only an early check. Among concurrent requests, the reservation itself decides.
    reached = limit_reached(settings.policy.limits, standing, reservation.terms, reservation.allow_overlap, now)
    if reached:
        raise rationing.problem(reached, settings.policy.limits)
    sent = {
        "channel": student.channel,
        "token_id": student.token_id,
        "page_url": settings.http.page_for_operators(booking_id),
    }
    return reservation.model_copy(update=sent), offer.offering.title


async def _open_checkout(
    booking_id: UUID,
    reservation: tuple[ReserveSlot, str] | None,
    record: BookingRecord | None,
    student: Caller,
    database: Database,
    client: BookingClient,
    limits: BookingLimits,
) -> BookingRecord:
    """The booking, once the student can pay or once it has ended. Raises a `Problem` if it was not created."""
    try:
        if reservation:
            await client.open_checkout(*reservation)
        elif record and record.is_opening:
            await client.join_checkout(booking_id)
    except Refused as refused:
        if refused.refusal is Refusal.LIMIT_REACHED:
            reached = LimitReached.model_validate(refused.details[0])
            raise rationing.problem(reached, limits) from refused
        raise Problem(
            _PROBLEM_KINDS[refused.refusal], f"{refused} To try again, send a new Idempotency-Key."
        ) from refused
    except Unreachable as error:
        raise unavailable(_NOT_OPEN_YET) from error
    except Closed:
        # Postgres has the outcome, unless the booking was never created.
        record = None
    if record is None or record.is_opening:
        async with database.reading() as session:
            record = await queries.booking(session, booking_id, student)
    if record is None:
        raise Problem(Kind.BOOKING_CLOSED, "It has ended. To book again, send a new Idempotency-Key.")
    return record


def _client_of(request: Request) -> tuple[str, str]:
    """IP address and user agent. Behind a proxy, uvicorn takes the address from the proxy's headers."""
    return request.client.host if request.client else "", request.headers.get("User-Agent", "")[:_USER_AGENT_LENGTH]


@router.get(
    "",
    operation_id="listBookings",
    responses=problem_responses(
        Kind.CURSOR_UNKNOWN, Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE
    ),
)
async def list_bookings(
    caller: AsEitherSide, filters: AnyonesFilter, page: PageParams, database: WithDatabase
) -> BookingPage:
    """List the caller's bookings, newest first."""
    async with database.reading() as session:
        found = await queries.bookings(session, filters.of(caller), page.after, page.limit + 1)
    return BookingPage(
        data=[presenters.booking(record, caller) for record in found[: page.limit]],
        next_cursor=presenters.next_cursor(found, page.limit),
    )


@router.get(
    "/{booking_id}",
    operation_id="getBooking",
    responses=problem_responses(
        Kind.NOT_SIGNED_IN,
        Kind.NOT_FOUND,
        Kind.BOOKING_DELETED,
        Kind.REQUEST_INVALID,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
)
async def get_booking(booking_id: UUID, caller: AsAnyRole, database: WithDatabase) -> BookingForOperator | Booking:
    """Get one booking, with its session and payment."""
    async with database.reading() as session:
        record = await queries.existing_booking(session, booking_id, caller)
    return presenters.booking(record, caller)
