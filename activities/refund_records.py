"""Rows of refunds, and what a refund changes in its payment and the ledger. One transaction each, the caller's."""

from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.booking import payment_records
from activities.booking.payment_records import advance_unless_there
from activities.database import audit, ledger, outbox
from models.domain import postings
from models.domain.actors import PLATFORM, Actor, Role
from models.domain.messages import Channel
from models.domain.money import Money
from models.domain.notifications import notifications_for
from models.domain.policy import LossBearer, PaymentPlan
from models.domain.refunds import (
    RecordRefund,
    RecordRefundOrder,
    RecordRefundRetry,
    RecordRefusedRefund,
    RefundSnapshot,
    refusal,
    shares,
    shares_at_stripe,
)
from models.domain.states import RefundStatus
from models.tables.audit import AuditEvent
from models.tables.bookings import BookingRequest
from models.tables.payments import Payment
from models.tables.refunds import Refund

_NO_REASON = "unknown"
"""A failed refund without a reason is one that is being retried."""
_DASHBOARD_USER = Actor(role=Role.OPERATOR)
"""Anyone who may create refunds in Stripe's dashboard."""


def is_due(row: Refund) -> bool:
    """Whether Stripe has yet to answer the order, or an operator's latest retry of it."""
    is_retrying = row.status is RefundStatus.FAILED and row.failure_reason is None
    return is_retrying or (row.status is RefundStatus.RESERVED and row.stripe_refund_id is None)


async def reserve(session: AsyncSession, row: Refund, payment: Payment, message: RecordRefundOrder) -> None:
    left = Money(amount_minor=payment.captured_minor, currency=payment.currency)
    amount = Money(amount_minor=row.amount_minor, currency=row.currency)
    under_way = await payment_records.has_reserved_refund(session, row.booking_id)
    row.failure_reason = refusal(amount, payment.status, left, under_way)
    row.updated_at = message.at
    if row.failure_reason is None:
        row.status = advance_unless_there(row.status, RefundStatus.RESERVED)
        row.tries = 1


async def update(
    session: AsyncSession, booking: BookingRequest, payment: Payment, row: Refund, message: RecordRefund
) -> None:
    """Set the refund to its state at Stripe, with its payment, ledger entries, audit event and notifications."""
    refund, before = message.refund, row.status
    if before is RefundStatus.FAILED and row.stripe_refund_id == refund.stripe_refund_id:
        return  # A failed refund stays failed: a reset workflow brings an older state.
    is_new = before is RefundStatus.RESERVED or row.stripe_refund_id != refund.stripe_refund_id
    action = {
        RefundStatus.FAILED: "booking.refund_failed",
        RefundStatus.SUCCEEDED: "booking.refunded" if is_new else "booking.refund_arrived",
    }.get(refund.status, "booking.refunded")
    detail = {"refund_id": str(row.id), "stripe_refund_id": refund.stripe_refund_id, "amount_minor": row.amount_minor}
    is_adopted = before is RefundStatus.RESERVED and row.ordered_by is None and row.fraud_warning_id is None
    actor_and_channel = (_DASHBOARD_USER, Channel.STRIPE) if is_adopted else (PLATFORM, Channel.WORKFLOW)
    if not await audit.append(
        session, event(row, action, message, detail, refund.stripe_refund_id, *actor_and_channel)
    ):
        return
    row.stripe_refund_id = refund.stripe_refund_id
    row.status = advance_unless_there(before, refund.status)
    row.failure_reason = refund.failure_reason or (_NO_REASON if refund.status is RefundStatus.FAILED else None)
    row.updated_at = message.at
    if before is RefundStatus.RESERVED:
        await _deduct(session, payment, row, message)
    if row.status is not before:
        facts: outbox.Facts = {"refund_id": str(row.id)}
        people = notifications_for(before, row.status)
        await outbox.notify(session, booking, people, message.at, facts, refund.stripe_refund_id)


async def _deduct(session: AsyncSession, payment: Payment, row: Refund, message: RecordRefund) -> None:
    """Deduct the refund from the payment and from the shares that bear it. From now on the student is owed it."""
    captured = Money(amount_minor=payment.captured_minor, currency=payment.currency)
    fee = Money(amount_minor=payment.platform_fee_minor, currency=payment.currency)
    borne = shares_at_stripe(message.case, message.refund, captured, fee)
    # Set all three before the next query, which flushes the row.
    row.instructor_minor = borne.instructor.amount_minor
    row.platform_fee_minor = borne.platform_fee.amount_minor
    row.platform_loss_minor = borne.platform_loss.amount_minor
    await payment_records.deduct(session, payment, borne, message.at)
    await ledger.post(session, message.at, *postings.refund(message.case.parties, str(row.id), borne))


def event(
    row: Refund, action: str, message: RecordRefund | RecordRefusedRefund | RecordRefundRetry, detail: dict[str, Any],
    occasion: str, actor: Actor = PLATFORM, channel: Channel = Channel.WORKFLOW,
) -> AuditEvent:  # fmt: skip
    return audit.event(row.booking_id, action, actor, channel, message.at, detail, occasion)


async def snapshot(session: AsyncSession, row: Refund, payment: Payment) -> RefundSnapshot:
    booking = await session.get_one(BookingRequest, row.booking_id)
    captured = Money(amount_minor=payment.captured_minor, currency=payment.currency)
    fee = Money(amount_minor=payment.platform_fee_minor, currency=payment.currency)
    amount = Money(amount_minor=row.amount_minor, currency=row.currency)
    is_reversed = payment.plan is PaymentPlan.CHARGE_THEN_TRANSFER and row.status is RefundStatus.RESERVED
    share_minor = shares(amount, captured, fee, row.borne_by).instructor.amount_minor if is_reversed else 0
    return RefundSnapshot(
        refund_id=row.id,
        parties=postings.Parties(booking_id=booking.id, instructor_id=booking.instructor_id),
        status=row.status,
        refusal=row.failure_reason if row.status in (RefundStatus.REQUESTED, RefundStatus.REFUSED) else None,
        payment_intent_id=payment.payment_intent_id or "",
        amount=amount,
        borne_by=row.borne_by,
        plan=payment.plan,
        share_minor=share_minor,
        share_left_minor=payment_records.instructor_minor(payment) - share_minor,
        tries=row.tries,
        stripe_refund_id=row.stripe_refund_id,
        is_retrying=row.status is RefundStatus.FAILED and is_due(row),
        fee_returned_before_minor=await _fee_returned(session, row.booking_id, row.id),
        pending_reason=row.pending_reason,
        is_fraudulent=row.fraud_warning_id is not None,
    )


async def _fee_returned(session: AsyncSession, booking_id: UUID, except_refund_id: UUID) -> int:
    """How much of the application fee the ending and earlier refunds have returned at Stripe, in minor units.

    A refund that the platform bears alone returns no fee. Of any other, all but the instructor's part came from the
    fee, even where the ledger counts it as a loss by now.
    """
    parts = select(func.coalesce(func.sum(Refund.platform_fee_minor + Refund.platform_loss_minor), 0)).where(
        col(Refund.booking_id) == booking_id,
        col(Refund.id) != except_refund_id,
        col(Refund.borne_by) == LossBearer.BOTH,
    )
    payment = await session.get_one(Payment, booking_id)
    return payment.ending_fee_returned_minor + int((await session.exec(parts)).one())
