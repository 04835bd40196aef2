"""What an operator can decide about a booking now, and what each decision would do, without doing it."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.bookings import queries
from api.bookings.queries import BookingRecord
from api.http.auth import AsOperator, Caller
from api.http.database import WithDatabase
from api.http.problems import Kind, problem_responses
from api.http.schema_types import ResponseModel
from models.domain import refunds
from models.domain.decisions import Situation, Stage, ending_of, refusal
from models.domain.messages import Decision, Extend, Release, Retry, Settle, SettleAndRefund
from models.domain.money import Money
from models.domain.policy import LossBearer
from models.domain.states import BookingStatus, PaymentStatus, RefundStatus

router = APIRouter(prefix="/v1/operator/bookings/{booking_id}", tags=["operator"])

_UNDER_WAY = (RefundStatus.REQUESTED, RefundStatus.RESERVED)
_SECURED = (PaymentStatus.PENDING, PaymentStatus.CAPTURED, PaymentStatus.PARTIALLY_REFUNDED)
_SOON = timedelta(seconds=1)


class OperatorAction(StrEnum):
    """Each is the last part of its route."""

    SETTLE = "settle"
    RELEASE = "release"
    REFUND = "refund"
    EXTEND = "extend"
    RETRY = "retry"


class DecisionOutcome(ResponseModel):
    """How the money would be divided. The three sum to what is held or charged."""

    student: Money
    """Returned to the student."""
    platform: Money
    """What the platform has then; below zero for a loss."""
    instructor: Money
    """What the instructor gets."""


class OperatorOption(ResponseModel):
    action: OperatorAction
    """The decision."""
    is_possible: bool
    """Whether it is possible now."""
    why_not: str | None
    """Why it is not possible now."""
    needs_reason: bool
    """Whether the decision needs a reason."""
    outcome: DecisionOutcome | None
    """`null` for an action that divides nothing, and if the action is not possible."""


class OperatorOptions(ResponseModel):
    booking_id: UUID
    """The booking."""
    data: list[OperatorOption]
    """Every action. The decision itself is checked again when it is made."""
    refundable: Money
    """The most that a refund can return now."""


@router.get(
    "/options",
    operation_id="listOperatorOptions",
    responses=problem_responses(
        Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.NOT_FOUND, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE
    ),
)
async def list_options(
    booking_id: UUID,
    operator: AsOperator,
    database: WithDatabase,
    refund_minor: Annotated[
        int | None, Query(ge=1, lt=2**63, description="The refund to preview; all that is left if omitted.")
    ] = None,
    borne_by: Annotated[LossBearer, Query(description="Who would bear the refund of an ended booking.")] = (
        LossBearer.BOTH
    ),
) -> OperatorOptions:
    """The actions that are possible now, each with its outcome."""
    async with database.reading() as session:
        record = await queries.existing_booking(session, booking_id, operator)
    return options(record, operator, refund_minor, borne_by)


def options(
    record: BookingRecord, operator: Caller, refund_minor: int | None = None, borne_by: LossBearer = LossBearer.BOTH
) -> OperatorOptions:
    left = _left(record)
    amount = left if refund_minor is None else Money(amount_minor=refund_minor, currency=left.currency)
    listed = _after_the_end(record, amount, borne_by) if record.is_closed else _of_open(record, operator, amount)
    return OperatorOptions(booking_id=record.request.id, data=listed, refundable=left)


def _of_open(record: BookingRecord, operator: Caller, amount: Money) -> list[OperatorOption]:
    situation = _situation(record)
    common = {"actor": operator.actor, "channel": operator.channel}
    decisions: dict[OperatorAction, Decision] = {
        OperatorAction.SETTLE: Settle(**common, has_reason=True),
        OperatorAction.RELEASE: Release(**common),
        OperatorAction.REFUND: SettleAndRefund(**common, amount=amount, has_reason=True),
        OperatorAction.EXTEND: Extend(**common, until=max(situation.now, situation.terms.ends_at) + _SOON),
        OperatorAction.RETRY: Retry(**common),
    }
    is_early = situation.now < situation.terms.ends_at
    found = []
    for action, decision in decisions.items():
        why_not, outcome = refusal(decision, situation), None
        if why_not is None and action in (OperatorAction.SETTLE, OperatorAction.RELEASE, OperatorAction.REFUND):
            split = ending_of(decision, situation).split
            returned = situation.terms.price - split.kept if _is_secured(record) else split.kept.zero()
            outcome = DecisionOutcome(student=returned, platform=split.platform_fee, instructor=split.instructor_payout)
        needs_reason = is_early and action in (OperatorAction.SETTLE, OperatorAction.REFUND)
        found.append(_option(action, why_not, outcome, needs_reason))
    return found


def _after_the_end(record: BookingRecord, amount: Money, borne_by: LossBearer) -> list[OperatorOption]:
    """A booking that has ended can only be refunded."""
    closed = "This booking has ended. It can only be refunded."
    payment, left = record.payment, _left(record)
    why_not = "Nothing was charged."
    outcome = None
    if payment is not None and payment.captured_minor:
        is_busy = any(refund.status in _UNDER_WAY for refund in record.refunds)
        why_not = refunds.refusal(amount, payment.status, left, is_busy) or ""
        if not why_not:
            fee = Money(amount_minor=payment.platform_fee_minor, currency=payment.currency)
            loss = Money(amount_minor=payment.platform_loss_minor, currency=payment.currency)
            borne = refunds.shares(amount, left, fee, borne_by)
            outcome = DecisionOutcome(
                student=amount,
                platform=fee - loss - borne.platform_fee - borne.platform_loss,
                instructor=left - fee + loss - borne.instructor,
            )
    has_failed = any(refund.status is RefundStatus.FAILED for refund in record.refunds)
    return [
        _option(OperatorAction.SETTLE, closed),
        _option(OperatorAction.RELEASE, closed),
        _option(OperatorAction.REFUND, why_not or None, outcome),
        _option(OperatorAction.EXTEND, closed),
        _option(OperatorAction.RETRY, None if has_failed else "No refund of this booking has failed."),
    ]


def _option(
    action: OperatorAction, why_not: str | None, outcome: DecisionOutcome | None = None, needs_reason: bool = False
) -> OperatorOption:
    return OperatorOption(
        action=action, is_possible=why_not is None, why_not=why_not, needs_reason=needs_reason, outcome=outcome
    )


def _situation(record: BookingRecord) -> Situation:
    """As the records show it. The workflow knows more, such as a deadline's limit, and decides in the end."""
    request = record.request
    is_accepted = request.status is BookingStatus.ACCEPTED
    stage = Stage.SESSION if is_accepted else Stage.APPROVAL if _is_secured(record) else Stage.CHECKOUT
    far = datetime.max.replace(tzinfo=UTC)
    return Situation(
        stage=stage,
        accepted=is_accepted,
        parked=request.needs_attention,
        report=None,
        answer=None,
        moving=False,
        now=record.read_at,
        latest_deadline=far,
        latest_end=far,
        terms=request.terms,
    )


def _is_secured(record: BookingRecord) -> bool:
    return record.payment is not None and record.payment.status in _SECURED


def _left(record: BookingRecord) -> Money:
    """What can still go back to the student."""
    payment, currency = record.payment, record.request.currency
    if payment is None:
        return Money(amount_minor=0, currency=currency)
    if not record.is_closed:
        return Money(amount_minor=payment.amount_minor if _is_secured(record) else 0, currency=currency)
    return Money(amount_minor=payment.captured_minor, currency=currency)
