"""Operator routes: find bookings that need attention, and decide what happens to their money."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from sqlmodel.ext.asyncio.session import AsyncSession

from api.bookings import commands, presenters, queries
from api.bookings.decision_handler import DECISION_RESPONSES, Save, WithDecisionHandler
from api.bookings.filters import OperatorsFilter
from api.bookings.refunds import WithRefundService
from api.bookings.schemas import (
    Booking,
    BookingForOperator,
    BookingPageForOperator,
    DeadlineExtension,
    Dismissal,
    RefundRequest,
    Settlement,
)
from api.http.auth import AsOperator, Caller
from api.http.database import WithDatabase
from api.http.idempotency import OptionalKey
from api.http.pagination import PageParams
from api.http.problems import Kind, Problem, problem_responses
from models.domain.messages import Extend, Release, Retry, Settle, SettleAndRefund
from models.domain.money import Money, not_accepted
from models.domain.policy import LossBearer
from workflows.booking.workflow import BookingWorkflow

router = APIRouter(prefix="/v1/operator/bookings", tags=["operator"])
decisions = APIRouter(prefix="/v1/operator/bookings/{booking_id}", tags=["operator"], responses=DECISION_RESPONSES)


@router.get(
    "",
    operation_id="listAllBookings",
    responses=problem_responses(
        Kind.CURSOR_UNKNOWN, Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE
    ),
)
async def list_all_bookings(
    operator: AsOperator, filters: OperatorsFilter, page: PageParams, database: WithDatabase
) -> BookingPageForOperator:
    """List all bookings, newest first."""
    async with database.reading() as session:
        found = await queries.bookings(session, filters, page.after, page.limit + 1)
    return BookingPageForOperator(
        data=[presenters.booking_for_operator(record) for record in found[: page.limit]],
        next_cursor=presenters.next_cursor(found, page.limit),
    )


@decisions.post("/settle", operation_id="settleBooking", response_model=BookingForOperator)
async def settle(
    booking_id: UUID, operator: AsOperator, handler: WithDecisionHandler, settlement: Settlement | None = None
) -> Booking:
    """Settle: the instructor gets their whole share. Before the session's end, this needs a reason."""
    reason = settlement.reason if settlement else None
    decision = Settle(actor=operator.actor, channel=operator.channel, has_reason=reason is not None)
    save = _saving(booking_id, reason, operator)
    return await handler.decide(booking_id, operator, BookingWorkflow.settle, decision, settlement, save)


@decisions.post("/release", operation_id="releaseBooking", response_model=BookingForOperator)
async def release(booking_id: UUID, operator: AsOperator, handler: WithDecisionHandler) -> Booking:
    """Release: the student gets everything back."""
    decision = Release(actor=operator.actor, channel=operator.channel)
    return await handler.decide(booking_id, operator, BookingWorkflow.release, decision)


@decisions.post(
    "/refund",
    operation_id="refundBooking",
    response_model=BookingForOperator,
    responses=problem_responses(Kind.REQUEST_INVALID, Kind.AMOUNT_INVALID, Kind.IDEMPOTENCY_KEY_REUSED),
)
async def refund(
    booking_id: UUID,
    requested: RefundRequest,
    operator: AsOperator,
    handler: WithDecisionHandler,
    refunds: WithRefundService,
    key: OptionalKey = None,
) -> Booking:
    """Refund part of the price. An open booking is settled for the rest; an ended booking can be refunded, too."""
    record = await handler.find(booking_id, operator)
    amount = Money(amount_minor=requested.amount_minor, currency=record.request.currency)
    if reason := not_accepted(amount):
        raise Problem(Kind.AMOUNT_INVALID, f"{reason[0].upper()}{reason[1:]}.")
    has_reason = requested.reason is not None
    decision = SettleAndRefund(actor=operator.actor, channel=operator.channel, amount=amount, has_reason=has_reason)
    if record.is_closed:
        # This may be a retry: the first attempt ended the booking and its response was lost.
        if not await handler.has_decided(booking_id, operator, BookingWorkflow.refund, decision, requested):
            await refunds.order(record, requested, key, operator)
        return presenters.booking(await handler.find(booking_id, operator), operator)
    if requested.borne_by is LossBearer.PLATFORM:
        sentence = "The platform can bear a refund only after the booking has ended. Settle it first."
        raise Problem(Kind.NOT_POSSIBLE_NOW, sentence, booking_status=record.request.status)
    save = _saving(booking_id, requested.reason, operator)
    return await handler.decide(booking_id, operator, BookingWorkflow.refund, decision, requested, save)


@decisions.post("/extend", operation_id="extendBookingDeadline", response_model=BookingForOperator)
async def extend(
    booking_id: UUID, extension: DeadlineExtension, operator: AsOperator, handler: WithDecisionHandler
) -> Booking:
    """Move the booking's next deadline."""
    decision = Extend(actor=operator.actor, channel=operator.channel, until=extension.until)
    return await handler.decide(booking_id, operator, BookingWorkflow.extend, decision, extension)


@decisions.post("/retry", operation_id="retryBooking", response_model=BookingForOperator)
async def retry(
    booking_id: UUID,
    operator: AsOperator,
    handler: WithDecisionHandler,
    refunds: WithRefundService,
    key: OptionalKey = None,
) -> Booking:
    """Retry the failed step of a parked booking, or the failed refund of a booking that has ended."""
    record = await handler.find(booking_id, operator)
    decision = Retry(actor=operator.actor, channel=operator.channel)
    if record.is_closed:
        # This may be a repeated request, whose first one had the step retried.
        if not await handler.has_decided(booking_id, operator, BookingWorkflow.retry, decision):
            await refunds.retry(record, operator, key)
        return presenters.booking(await handler.find(booking_id, operator), operator)
    return await handler.decide(booking_id, operator, BookingWorkflow.retry, decision)


@decisions.post("/dismiss", operation_id="dismissFraudWarning", response_model=BookingForOperator)
async def dismiss(
    booking_id: UUID,
    dismissal: Dismissal,
    operator: AsOperator,
    handler: WithDecisionHandler,
    refunds: WithRefundService,
) -> Booking:
    """Dismiss the fraud warnings of a booking: it needs no attention because of them, and nothing is refunded."""
    record = await handler.find(booking_id, operator)
    await refunds.dismiss_warnings(record, dismissal.reason, operator)
    return presenters.booking(await handler.find(booking_id, operator), operator)


def _saving(booking_id: UUID, reason: str | None, operator: Caller) -> Save | None:
    """Free text stays out of the workflow's history, so the reason is saved before the update is sent."""
    if reason is None:
        return None

    async def save_reason(session: AsyncSession, now: datetime) -> None:
        await commands.save_settlement_reason(session, booking_id, reason, operator, now)

    return save_reason
