"""Rows of disputes, and what a dispute changes in its payment and the ledger. One transaction each, the caller's."""

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.booking import payment_records
from activities.booking.payment_records import advance_unless_there
from activities.database import audit, ledger
from models.domain import postings
from models.domain.actors import PLATFORM
from models.domain.disputes import (
    DisputeContext,
    DisputeResponse,
    DisputeState,
    RecordDispute,
    RecordDisputeEnd,
    RecordEvidence,
)
from models.domain.messages import Channel
from models.domain.money import Money
from models.domain.postings import Shares
from models.domain.states import DisputeStatus, PaymentStatus, advance
from models.tables.audit import AuditEvent
from models.tables.bookings import BookingRequest
from models.tables.disputes import Dispute
from models.tables.payments import Payment

ANSWERED = "booking.dispute_answered"


async def payment_of(session: AsyncSession, state: DisputeState) -> Payment | None:
    is_disputed = (
        col(Payment.charge_id) == state.charge_id
        if state.payment_intent_id is None
        else col(Payment.payment_intent_id) == state.payment_intent_id
    )
    return (await session.exec(select(Payment).where(is_disputed).with_for_update())).one_or_none()


async def upsert(session: AsyncSession, message: RecordDispute, booking: BookingRequest) -> Dispute:
    state, at = message.state, message.at
    dispute = await session.get(Dispute, state.dispute_id, with_for_update=True)
    if dispute is None:
        dispute = Dispute(
            id=state.dispute_id,
            booking_id=booking.id,
            status=advance(None, DisputeStatus.NEEDS_RESPONSE),
            is_inquiry=state.is_inquiry,
            reason=state.reason,
            amount_minor=state.amount.amount_minor,
            currency=state.amount.currency,
            created_at=at,
            updated_at=at,
        )
        session.add(dispute)
        opened = audit.event(
            booking.id, "booking.dispute_opened", PLATFORM, Channel.WORKFLOW, at,
            {"dispute_id": dispute.id, "amount_minor": dispute.amount_minor, "reason": dispute.reason}, dispute.id,
        )  # fmt: skip
        await audit.append(session, opened)
    if dispute.closed_at is not None:
        return dispute  # A reset workflow brings the state that was read before the end.
    if dispute.is_inquiry and not state.is_inquiry:
        dispute.answered_at = None
    dispute.status = advance_unless_there(dispute.status, state.status)
    dispute.is_inquiry = state.is_inquiry
    dispute.amount_minor = state.amount.amount_minor
    dispute.respond_by = state.respond_by
    dispute.updated_at = at
    return dispute


async def ordered_answer(session: AsyncSession, dispute: Dispute) -> DisputeResponse | None:
    """What an operator has decided, unless it was sent since."""
    answers = {f"booking.dispute_{answer}": answer for answer in DisputeResponse}
    is_about_it = col(AuditEvent.detail)["dispute_id"].astext == dispute.id
    query = (
        select(AuditEvent.action)
        .where(col(AuditEvent.booking_id) == dispute.booking_id, is_about_it)
        .where(col(AuditEvent.action).in_([*answers, ANSWERED]))
        .order_by(col(AuditEvent.seq).desc())
        .limit(1)
    )
    return answers.get((await session.exec(query)).first() or "")


async def withdraw(session: AsyncSession, message: RecordDispute, payment: Payment, case: DisputeContext) -> None:
    state = message.state
    withdrawal = [postings.dispute_opened(case.parties, state.dispute_id, state.amount)]
    if state.fee:
        withdrawal.append(postings.stripe_fee(case.parties, state.dispute_id, state.fee))
    await ledger.post(session, message.at, *withdrawal)
    dispute = await session.get_one(Dispute, state.dispute_id)
    if dispute.closed_at is None:
        payment.status = advance_unless_there(payment.status, PaymentStatus.DISPUTED)
        payment.updated_at = message.at


async def close(session: AsyncSession, message: RecordDisputeEnd) -> None:
    """Post the end of a dispute whose money was withdrawn."""
    state, parties = message.state, message.case.parties
    if state.status is DisputeStatus.LOST and message.case.is_held:
        await ledger.post(
            session, message.at, postings.dispute_lost_while_held(parties, state.dispute_id, state.amount)
        )
    elif state.status is DisputeStatus.LOST:
        lost = postings.dispute_lost(parties, state.dispute_id, message.borne, message.case.owed)
        await ledger.post(session, message.at, *lost)
    elif state.reinstated:
        won = postings.dispute_won(parties, state.dispute_id, state.amount, state.fee_returned)
        await ledger.post(session, message.at, *won)
    await _close_payment(session, message)


async def _close_payment(session: AsyncSession, message: RecordDisputeEnd) -> None:
    """Restore the status from before the dispute, or deduct a lost amount. A refund since then has set it already."""
    payment = await session.get_one(Payment, message.case.parties.booking_id, with_for_update=True)
    if message.state.status is DisputeStatus.LOST:
        if not message.case.is_held:
            await payment_records.deduct(session, payment, message.borne, message.at)
        return
    if payment.status is not PaymentStatus.DISPUTED:
        return
    if message.case.is_held:
        to = PaymentStatus.PENDING
    elif not payment.captured_minor:
        to = PaymentStatus.REFUNDED
    else:
        to = PaymentStatus.PARTIALLY_REFUNDED if payment.returned_minor else PaymentStatus.CAPTURED
    payment.status = advance_unless_there(payment.status, to)
    payment.updated_at = message.at


def nobody(amount: Money) -> Shares:
    return Shares(instructor=amount.zero(), platform_fee=amount.zero(), platform_loss=amount.zero())


def captured_and_fee(payment: Payment) -> tuple[Money, Money]:
    """The captured amount, and the platform's fee in it."""
    return (
        Money(amount_minor=payment.captured_minor, currency=payment.currency),
        Money(amount_minor=payment.platform_fee_minor, currency=payment.currency),
    )


def event(dispute: Dispute, message: RecordEvidence, action: str, occasion: str) -> AuditEvent:
    return audit.event(
        dispute.booking_id, action, PLATFORM, Channel.WORKFLOW, message.at, {"dispute_id": dispute.id}, occasion
    )
