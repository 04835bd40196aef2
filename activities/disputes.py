"""Activities of the Dispute workflow: calls to Stripe, and the records. All of them are safe to repeat."""

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.booking import payment_records
from activities.booking.payment_records import NotRecordedYet, advance_unless_there
from activities.database import attention, audit, ledger
from activities.database.transactions import transaction
from activities.dispute_evidence import load_case_facts
from activities.gateways import DisputeGateway
from activities.idempotency import with_idempotency_key
from models.domain import postings
from models.domain.actors import PLATFORM
from models.domain.dispute_evidence import evidence
from models.domain.disputes import (
    DisputeContext,
    DisputeOrder,
    DisputeResponse,
    DisputeState,
    RecordDispute,
    RecordDisputeDecision,
    RecordDisputeEnd,
    RecordEvidence,
    ReverseDisputedTransfer,
    SubmitEvidence,
)
from models.domain.errors import Declined
from models.domain.ids import dispute_key
from models.domain.messages import Channel
from models.domain.money import Money
from models.domain.policy import BookingPolicy, PaymentPlan
from models.domain.postings import Shares
from models.domain.refunds import shares
from models.domain.states import HOLDS_SLOT, DisputeStatus, PaymentStatus, advance
from models.tables.audit import AuditEvent
from models.tables.bookings import BookingRequest
from models.tables.disputes import Dispute
from models.tables.payments import Payment

_ANSWERED = "booking.dispute_answered"


class DisputeActivities:
    """Reads names and email addresses from Postgres itself, so that they never enter a workflow history."""

    def __init__(self, engine: AsyncEngine, gateway: DisputeGateway) -> None:
        self._engine = engine
        self._gateway = gateway

    @activity.defn
    async def look_up_dispute(self, order: DisputeOrder) -> DisputeState:
        return await self._gateway.look_up_dispute(order.dispute_id)

    @activity.defn
    async def submit_dispute_evidence(self, message: SubmitEvidence) -> None:
        """Submit the booking's evidence, unless somebody has answered. Raises `Declined` if Stripe refuses it."""
        state = await self._gateway.look_up_dispute(message.dispute_id)
        if state.status is not DisputeStatus.NEEDS_RESPONSE or await self._is_taken_over(message.dispute_id):
            return
        facts = await load_case_facts(self._engine, message.case.parties.booking_id)
        # An inquiry that becomes a dispute needs another response, which the first one's key would replay.
        key = dispute_key(message.dispute_id, "submit_to_inquiry" if state.is_inquiry else "submit")
        await with_idempotency_key(
            key, True, lambda key: self._gateway.submit_evidence(message.dispute_id, evidence(facts), key=key)
        )

    @activity.defn
    async def accept_dispute(self, order: DisputeOrder) -> None:
        """Accept the dispute, unless it is over or an operator answers it in the dashboard. Raises `Declined`."""
        state = await self._gateway.look_up_dispute(order.dispute_id)
        if state.is_over or await self._is_taken_over(order.dispute_id):
            return
        key = dispute_key(order.dispute_id, "accept")
        await with_idempotency_key(key, True, lambda key: self._gateway.accept_dispute(order.dispute_id, key=key))

    @activity.defn
    async def reverse_disputed_transfer(self, wanted: ReverseDisputedTransfer) -> Money:
        """Reverse the instructor's share. Returns the amount; zero if Stripe declines, and the ledger shows that.

        Does nothing once the dispute's end is recorded: what could not be taken back then is the platform's loss.
        """
        dispute = await self._load(wanted.dispute_id)
        if dispute is not None and dispute.closed_at is not None:
            return wanted.amount.zero()
        key = dispute_key(wanted.dispute_id, "reverse_disputed_transfer")
        try:
            return await with_idempotency_key(
                key, True, lambda key: self._gateway.reverse_disputed_transfer(wanted, key=key)
            )
        except Declined:
            return wanted.amount.zero()

    @activity.defn
    async def record_dispute(self, message: RecordDispute) -> DisputeContext | None:
        """Record the dispute's state. Returns its case, or `None` if the charge is unknown. Raises `NotRecordedYet`."""
        state = message.state
        async with transaction(self._engine) as session:
            payment = await _payment_of(session, state)
            if payment is None:
                return None
            booking = await session.get_one(BookingRequest, payment.booking_id)
            is_held = payment.plan is PaymentPlan.CHARGE_THEN_TRANSFER and booking.status in HOLDS_SLOT
            if payment.status is PaymentStatus.PENDING and not is_held:
                raise NotRecordedYet("the charge's booking has not ended yet")
            policy = BookingPolicy.model_validate(booking.policy)
            dispute = await _upsert(session, message, booking)
            captured, fee = _captured_and_fee(payment)
            excess = max(state.amount - captured, captured.zero())
            owed = min(excess, await ledger.owed_to_student(session, payment.booking_id, payment.currency))
            case = DisputeContext(
                parties=postings.Parties(booking_id=booking.id, instructor_id=booking.instructor_id),
                borne_if_lost=_nobody(state.amount)
                if is_held
                else shares(state.amount - owed, captured, fee, policy.lost_dispute_borne_by),
                owed=owed,
                is_held=is_held,
                is_taken_over=dispute.taken_over_at is not None,
                ordered=await _ordered_answer(session, dispute),
            )
            if state.withdrawn:
                await _withdraw(session, message, payment, case)
        return case

    @activity.defn
    async def record_dispute_decision(self, message: RecordDisputeDecision) -> None:
        decision = message.decision
        async with transaction(self._engine) as session:
            dispute = await session.get_one(Dispute, message.dispute_id, with_for_update=True)
            decided = audit.event(
                dispute.booking_id, f"booking.dispute_{decision.answer}", decision.actor, Channel.API, message.at,
                {"dispute_id": dispute.id}, f"{dispute.id}/{message.order_id or message.at.isoformat()}",
            )  # fmt: skip
            if await audit.append(session, decided):
                dispute.taken_over_at = message.at if decision.answer is DisputeResponse.TAKEN_OVER else None
                dispute.updated_at = message.at

    @activity.defn
    async def record_dispute_evidence(self, message: RecordEvidence) -> None:
        async with transaction(self._engine) as session:
            dispute = await session.get_one(Dispute, message.dispute_id, with_for_update=True)
            # A dispute is answered once, and once more if it began as an inquiry. One taken over was not answered here.
            occasion = f"{dispute.id}/{'inquiry' if dispute.is_inquiry else 'dispute'}"
            answered = _event(dispute, message, _ANSWERED, occasion)
            is_open = dispute.taken_over_at is None and dispute.closed_at is None
            if is_open and await audit.append(session, answered):
                dispute.answered_at = dispute.updated_at = message.at

    @activity.defn
    async def record_refused_dispute_evidence(self, message: RecordEvidence) -> None:
        """Stripe declined the platform's evidence: an operator has to respond."""
        async with transaction(self._engine) as session:
            dispute = await session.get_one(Dispute, message.dispute_id, with_for_update=True)
            if dispute.taken_over_at is not None:
                return
            occasion = f"{dispute.id}/{message.at.isoformat()}"
            await audit.append(session, _event(dispute, message, "booking.needs_attention", occasion))
            dispute.taken_over_at = dispute.updated_at = message.at
            booking = await session.get_one(BookingRequest, dispute.booking_id, with_for_update=True)
            booking.call_attention(attention.dispute_reason(dispute.id), message.at)

    async def _is_taken_over(self, dispute_id: str) -> bool:
        """By now. A workflow that was reset may not know it."""
        dispute = await self._load(dispute_id)
        return dispute is not None and dispute.taken_over_at is not None

    async def _load(self, dispute_id: str) -> Dispute | None:
        async with transaction(self._engine) as session:
            return await session.get(Dispute, dispute_id)

    @activity.defn
    async def record_dispute_end(self, message: RecordDisputeEnd) -> None:
        state, parties = message.state, message.case.parties
        ended = audit.event(
            parties.booking_id, f"booking.dispute_{state.status.lower()}", PLATFORM, Channel.WORKFLOW, message.at,
            {"dispute_id": state.dispute_id, "amount_minor": state.amount.amount_minor}, state.dispute_id,
        )  # fmt: skip
        async with transaction(self._engine) as session:
            dispute = await session.get_one(Dispute, state.dispute_id, with_for_update=True)
            if not await audit.append(session, ended):
                return
            dispute.closed_at = dispute.updated_at = message.at
            booking = await session.get_one(BookingRequest, parties.booking_id, with_for_update=True)
            if state.withdrawn:
                await _close(session, message)
            await attention.refresh(session, booking, message.at)


async def _payment_of(session: AsyncSession, state: DisputeState) -> Payment | None:
    is_disputed = (
        col(Payment.charge_id) == state.charge_id
        if state.payment_intent_id is None
        else col(Payment.payment_intent_id) == state.payment_intent_id
    )
    return (await session.exec(select(Payment).where(is_disputed).with_for_update())).one_or_none()


async def _upsert(session: AsyncSession, message: RecordDispute, booking: BookingRequest) -> Dispute:
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


async def _ordered_answer(session: AsyncSession, dispute: Dispute) -> DisputeResponse | None:
    """What an operator has decided, unless it was sent since."""
    answers = {f"booking.dispute_{answer}": answer for answer in DisputeResponse}
    is_about_it = col(AuditEvent.detail)["dispute_id"].astext == dispute.id
    query = (
        select(AuditEvent.action)
        .where(col(AuditEvent.booking_id) == dispute.booking_id, is_about_it)
        .where(col(AuditEvent.action).in_([*answers, _ANSWERED]))
        .order_by(col(AuditEvent.seq).desc())
        .limit(1)
    )
    return answers.get((await session.exec(query)).first() or "")


async def _withdraw(session: AsyncSession, message: RecordDispute, payment: Payment, case: DisputeContext) -> None:
    state = message.state
    withdrawal = [postings.dispute_opened(case.parties, state.dispute_id, state.amount)]
    if state.fee:
        withdrawal.append(postings.stripe_fee(case.parties, state.dispute_id, state.fee))
    await ledger.post(session, message.at, *withdrawal)
    dispute = await session.get_one(Dispute, state.dispute_id)
    if dispute.closed_at is None:
        payment.status = advance_unless_there(payment.status, PaymentStatus.DISPUTED)
        payment.updated_at = message.at


async def _close(session: AsyncSession, message: RecordDisputeEnd) -> None:
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


def _nobody(amount: Money) -> Shares:
    return Shares(instructor=amount.zero(), platform_fee=amount.zero(), platform_loss=amount.zero())


def _captured_and_fee(payment: Payment) -> tuple[Money, Money]:
    """The captured amount, and the platform's fee in it."""
    return (
        Money(amount_minor=payment.captured_minor, currency=payment.currency),
        Money(amount_minor=payment.platform_fee_minor, currency=payment.currency),
    )


def _event(dispute: Dispute, message: RecordEvidence, action: str, occasion: str) -> AuditEvent:
    return audit.event(
        dispute.booking_id, action, PLATFORM, Channel.WORKFLOW, message.at, {"dispute_id": dispute.id}, occasion
    )
