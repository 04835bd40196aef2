"""Activities that write the saga's records. Each is one idempotent transaction; all times come from its message."""

from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.booking import endings, payment_records, renewals, rescheduling, reservations, resets, session_reports
from activities.database import audit, outbox
from activities.database.transactions import transaction
from models.domain.actors import PLATFORM, Actor, Role
from models.domain.messages import (
    Channel,
    MoveResult,
    MoveSlot,
    RecordAcceptance,
    RecordAttention,
    RecordAuthorization,
    RecordCheckout,
    RecordDeadline,
    RecordEnding,
    RecordLapse,
    RecordProcessing,
    RecordRefusedSignal,
    RecordRenewal,
    RecordRenewalClosed,
    RecordRenewedPayment,
    ReserveSlot,
)
from models.domain.notifications import ON_REVIEW, notifications_for
from models.domain.policy import split
from models.domain.rationing import LimitReached
from models.domain.resets import LoadBooking, RecordedBooking
from models.domain.session_reports import JudgeSession, RecordAnswer, RecordReport, Verdict
from models.domain.states import HOLDS_SLOT, BookingStatus, PaymentStatus, SessionStatus, advance
from models.tables.bookings import BookingRequest, LiveSession
from models.tables.people import Student


class RecordActivities:
    """All raise `IllegalTransition` for a move that the transition table does not have, and `DatabaseError`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @activity.defn
    async def reserve_slot(self, message: ReserveSlot) -> bool | LimitReached | RecordedBooking:
        """Returns whether this booking has the slot, or the student's limit that it would exceed.

        Locks and the exclusion constraint decide, not an earlier read. A workflow that was reset reserves nothing: it
        gets where its booking stands.
        """
        return await reservations.reserve(self._engine, message)

    @activity.defn
    async def load_recorded_booking(self, message: LoadBooking) -> RecordedBooking:
        """Where the booking stands by its records, whatever its workflow's history says."""
        async with transaction(self._engine) as session:
            return await resets.load(session, message.terms)

    @activity.defn
    async def record_checkout(self, message: RecordCheckout) -> None:
        checkout = message.checkout
        opened = audit.event(
            message.booking_id, "booking.checkout_opened", PLATFORM, Channel.WORKFLOW, message.at,
            {"checkout_session_id": checkout.checkout_session_id},
        )  # fmt: skip
        async with transaction(self._engine) as session:
            booking = await audit.lock_for(session, opened)
            if booking is None:
                return
            booking.checkout_session_id = checkout.checkout_session_id
            booking.updated_at = message.at
            await session.exec(
                update(Student)
                .where(col(Student.id) == message.student_id, col(Student.stripe_customer_id).is_(None))
                .values(stripe_customer_id=checkout.customer_id)
            )

    @activity.defn
    async def record_processing(self, message: RecordProcessing) -> None:
        processing = audit.event(
            message.booking_id, "booking.payment_processing", PLATFORM, Channel.WORKFLOW, message.at
        )
        async with transaction(self._engine) as session:
            booking = await audit.lock_for(session, processing)
            if booking is not None:
                booking.checkout_url = None
                booking.next_deadline_at = message.until
                booking.updated_at = message.at

    @activity.defn
    async def record_renewal(self, message: RecordRenewal) -> None:
        await renewals.record(self._engine, message)

    @activity.defn
    async def record_renewal_closed(self, message: RecordRenewalClosed) -> None:
        await renewals.record_closed(self._engine, message)

    @activity.defn
    async def record_renewed_payment(self, message: RecordRenewedPayment) -> None:
        await renewals.record_renewed(self._engine, message)

    @activity.defn
    async def record_lapse(self, message: RecordLapse) -> None:
        await renewals.record_lapse(self._engine, message)

    @activity.defn
    async def record_authorization(self, message: RecordAuthorization) -> None:
        terms = message.terms
        authorized = audit.event(
            terms.booking_id, "booking.authorized", _student(terms.student_id), Channel.WORKFLOW, message.authorized_at,
            {"payment_intent_id": message.payment.payment_intent_id},
        )  # fmt: skip
        async with transaction(self._engine) as session:
            booking = await audit.lock_for(session, authorized)
            if booking is None:
                return
            await payment_records.record_hold(session, terms, message.payment, message.authorized_at)
            booking.checkout_url = None
            booking.next_deadline_at = message.approval_deadline_at
            booking.updated_at = message.authorized_at
            until = {"until": message.approval_deadline_at.isoformat()}
            await outbox.notify(
                session, booking, notifications_for(None, PaymentStatus.PENDING), message.authorized_at, until
            )

    @activity.defn
    async def record_acceptance(self, message: RecordAcceptance) -> None:
        decision = message.decision
        accepted = audit.event(
            message.terms.booking_id, "booking.accepted", decision.actor, decision.channel, message.at
        )
        async with transaction(self._engine) as session:
            booking = await audit.lock_for(session, accepted)
            if booking is None:
                return
            booking.status = advance(booking.status, BookingStatus.ACCEPTED)
            booking.next_deadline_at = message.completion_deadline_at
            booking.updated_at = message.at
            await _schedule(session, message)
            await outbox.notify(
                session, booking, notifications_for(BookingStatus.PENDING, BookingStatus.ACCEPTED), message.at
            )
            await outbox.schedule_reminders(session, booking, message.at)

    @activity.defn
    async def record_ending(self, message: RecordEnding) -> RecordedBooking | None:
        """Close the booking with its session, payment and payout, or delete it if it was never paid.

        Returns how it ended, if it had ended otherwise before: the workflow task that recorded it was lost.
        """
        ended = endings.audit_event(message)
        async with transaction(self._engine) as session:
            booking = await session.get(BookingRequest, message.terms.booking_id, with_for_update=True)
            if await audit.exists(session, ended):
                return None
            if not resets.is_open(booking):
                recorded = await resets.load(session, message.terms)
                if recorded.ended_by is not None:
                    return recorded
            booking = await audit.lock_for(session, ended)
            if booking is not None:
                await endings.apply(session, booking, message)
        return None

    @activity.defn
    async def move_slot(self, message: MoveSlot) -> MoveResult:
        """Move the booking and close the proposal. The exclusion constraint decides, as on booking."""
        return await rescheduling.move(self._engine, message)

    @activity.defn
    async def record_session_report(self, message: RecordReport) -> None:
        await session_reports.record(self._engine, message)

    @activity.defn
    async def record_session_answer(self, message: RecordAnswer) -> None:
        await session_reports.record_answer(self._engine, message)

    @activity.defn
    async def judge_session(self, message: JudgeSession) -> Verdict:
        """What the meeting's record shows of the session."""
        return await session_reports.judge(self._engine, message)

    @activity.defn
    async def record_attention(self, message: RecordAttention) -> None:
        """Also works for a deleted booking request: a call for attention must not fail because of that."""
        decision = message.decision
        changed = audit.event(
            message.booking_id,
            "booking.attention_cleared" if message.reason is None else "booking.needs_attention",
            decision.actor if decision else PLATFORM,
            decision.channel if decision else Channel.WORKFLOW,
            message.at,
            _attention_detail(message),
            occasion=message.at.isoformat(),
        )
        async with transaction(self._engine) as session:
            booking = await session.get(BookingRequest, message.booking_id, with_for_update=True)
            if booking is not None and not resets.is_open(booking):
                return
            if message.reason is None and await _has_failed_since(session, message):
                return
            if not await audit.append(session, changed) or booking is None:
                return
            if message.reason:
                booking.call_attention(message.reason, message.at)
            else:
                booking.end_attention(message.at)
            if message.until:
                booking.next_deadline_at = message.until
                until = {"until": message.until.isoformat()}
                await outbox.notify(session, booking, ON_REVIEW, message.at, until, occasion=message.at.isoformat())

    @activity.defn
    async def record_refused_signal(self, message: RecordRefusedSignal) -> None:
        """As the platform's own event: who has sent it is what the signal says, and not known.

        Not of an ended booking. Temporal sends a closed workflow nothing, so that one was reset, and the signal is an
        earlier one that is sent again.
        """
        claimed = message.actor.model_dump(mode="json") if message.actor else None
        refused = audit.event(
            message.booking_id,
            "booking.signal_refused",
            PLATFORM,
            Channel.TEMPORAL,
            message.at,
            {"signal": message.signal, "reason": message.reason, "actor": claimed},
            occasion=f"{message.at.isoformat()}/{message.signal}/{message.reason}",
        )
        async with transaction(self._engine) as session:
            booking = await session.get(BookingRequest, message.booking_id)
            if booking is not None and booking.status in HOLDS_SLOT:
                await audit.append(session, refused)

    @activity.defn
    async def record_deadline(self, message: RecordDeadline) -> None:
        decision = message.decision
        extended = audit.event(
            message.booking_id,
            "booking.extended",
            decision.actor,
            decision.channel,
            message.at,
            {"deadline_at": message.deadline_at.isoformat()},
            occasion=f"{message.at.isoformat()}/{message.deadline_at.isoformat()}",
        )
        async with transaction(self._engine) as session:
            booking = await audit.lock_for(session, extended)
            if booking is None:
                return
            booking.next_deadline_at = message.deadline_at
            booking.updated_at = message.at
            await session_reports.move_deadline(session, booking.id, message.deadline_at)


async def _has_failed_since(session: AsyncSession, message: RecordAttention) -> bool:
    """A step has failed in the round that begins: this decision is played again by a reset."""
    rounds = await audit.next_rounds(session, [message.booking_id])
    return message.operator_round is not None and message.operator_round < rounds.get(message.booking_id, 0)


def _attention_detail(message: RecordAttention) -> dict[str, object]:
    detail: dict[str, object] = {}
    if message.reason is None:
        if message.update_id is not None:
            detail[audit.RESOLVED_BY] = message.update_id
    else:
        detail["reason"] = message.reason
        if message.operator_round is not None:
            detail[audit.FAILED_ROUND] = message.operator_round
    if message.ending is not None:
        detail["ending"] = message.ending.model_dump(mode="json")
    return detail


def _student(student_id: UUID) -> Actor:
    return Actor(role=Role.STUDENT, id=student_id)


async def _schedule(session: AsyncSession, message: RecordAcceptance) -> None:
    terms = message.terms
    parts = split(terms.price, terms.policy)
    live_session = LiveSession(
        booking_id=terms.booking_id,
        status=advance(None, SessionStatus.SCHEDULED),
        total_price_minor=terms.price.amount_minor,
        platform_fee_minor=parts.platform_fee.amount_minor,
        instructor_payout_minor=parts.instructor_payout.amount_minor,
        currency=terms.price.currency,
        created_at=message.at,
        updated_at=message.at,
    )
    await session.exec(insert(LiveSession).values(live_session.model_dump()).on_conflict_do_nothing())
