"""Activities of the Dispute workflow: calls to Stripe, and the records. All of them are safe to repeat."""

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity

from activities import dispute_records
from activities.booking import payment_records
from activities.booking.payment_records import NotRecordedYet
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
from models.domain.refunds import shares
from models.domain.states import HOLDS_SLOT, DisputeStatus, PaymentStatus
from models.tables.bookings import BookingRequest
from models.tables.disputes import Dispute


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
            payment = await dispute_records.payment_of(session, state)
            if payment is None:
                return None
            booking = await session.get_one(BookingRequest, payment.booking_id)
            is_held = payment.plan is PaymentPlan.CHARGE_THEN_TRANSFER and booking.status in HOLDS_SLOT
            if payment.status is PaymentStatus.PENDING and not is_held:
                raise NotRecordedYet("the charge's booking has not ended yet")
            policy = BookingPolicy.model_validate(booking.policy)
            dispute = await dispute_records.upsert(session, message, booking)
            captured, fee = dispute_records.captured_and_fee(payment)
            excess = max(state.amount - captured, captured.zero())
            owed = min(excess, await ledger.owed_to_student(session, payment.booking_id, payment.currency))
            borne = (
                dispute_records.nobody(state.amount)
                if is_held
                else shares(state.amount - owed, captured, fee, policy.lost_dispute_borne_by)
            )
            share = Money(amount_minor=payment_records.instructor_minor(payment), currency=payment.currency)
            case = DisputeContext(
                parties=postings.Parties(booking_id=booking.id, instructor_id=booking.instructor_id),
                borne_if_lost=borne,
                share_left=share - borne.instructor,
                owed=owed,
                is_held=is_held,
                is_taken_over=dispute.taken_over_at is not None,
                ordered=await dispute_records.ordered_answer(session, dispute),
            )
            if state.withdrawn:
                await dispute_records.withdraw(session, message, payment, case)
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
            answered = dispute_records.event(dispute, message, dispute_records.ANSWERED, occasion)
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
            await audit.append(session, dispute_records.event(dispute, message, "booking.needs_attention", occasion))
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
                await dispute_records.close(session, message)
            await attention.refresh(session, booking, message.at)
