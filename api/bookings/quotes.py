"""Cancellation quotes: what cancelling now would return, without cancelling."""

from datetime import UTC, datetime
from uuid import UUID

from fastapi import APIRouter

from api import pricing
from api.bookings import queries, schemas
from api.bookings.queries import BookingRecord
from api.http.auth import AsEitherSide, Caller
from api.http.database import WithDatabase
from api.http.problems import Kind, Problem, problem_responses
from models.domain.actors import Role
from models.domain.decisions import PARKED, TOO_LATE_TO_CANCEL
from models.domain.money import Money
from models.domain.policy import BookingPolicy
from models.domain.quotes import CancellationQuote, cancellation_quote
from models.domain.states import BookingStatus

router = APIRouter(prefix="/v1/bookings/{booking_id}", tags=["bookings"])


@router.get(
    "/cancellation-quote",
    operation_id="quoteCancellation",
    responses=problem_responses(
        Kind.NOT_SIGNED_IN,
        Kind.WRONG_ROLE,
        Kind.NOT_FOUND,
        Kind.NOT_POSSIBLE_NOW,
        Kind.BOOKING_CLOSED,
        Kind.BOOKING_DELETED,
        Kind.REQUEST_INVALID,
        Kind.INTERNAL,
        Kind.UNAVAILABLE,
    ),
)
async def quote_cancellation(
    booking_id: UUID, caller: AsEitherSide, database: WithDatabase
) -> schemas.CancellationQuote:
    """Quote a cancellation by the caller: what it would return now, and until when the quote is valid."""
    async with database.reading() as session:
        record = await queries.existing_booking(session, booking_id, caller)
    now = datetime.now(UTC)
    _check(record, caller, now)
    request = record.request
    quote = cancellation_quote(
        Money(amount_minor=request.price_minor, currency=request.currency),
        BookingPolicy.model_validate(request.policy),
        request.starts_at,
        caller.role,
        now,
        accepted=request.status is BookingStatus.ACCEPTED,
        held=record.payment is not None,
    )
    return _present(record, quote, now)


def _check(record: BookingRecord, caller: Caller, now: datetime) -> None:
    """Raises the `Problem` that the cancellation itself would raise."""
    request = record.request
    if record.is_closed:
        raise Problem(
            Kind.BOOKING_CLOSED, "It has ended, so there is nothing to cancel.", booking_status=request.status
        )
    if request.needs_attention:
        raise Problem(Kind.NOT_POSSIBLE_NOW, PARKED, booking_status=request.status)
    if caller.role is Role.STUDENT and now >= request.starts_at:
        raise Problem(Kind.NOT_POSSIBLE_NOW, TOO_LATE_TO_CANCEL, booking_status=request.status)


def _present(record: BookingRecord, quote: CancellationQuote, now: datetime) -> schemas.CancellationQuote:
    request = record.request
    expiries = [end for end in (quote.tier_ends_at, request.next_deadline_at) if end is not None]
    return schemas.CancellationQuote(
        booking_id=request.id,
        booking_status=request.status,
        refund=quote.refund,
        kept=quote.split.kept,
        platform_fee=quote.split.platform_fee,
        instructor_payout=quote.split.instructor_payout,
        tier=pricing.tier(quote.tier) if quote.tier else None,
        quoted_at=now,
        valid_until=min(expiries, default=None),
    )
