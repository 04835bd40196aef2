"""Activities of the Payout workflow: look a payout up at Stripe, and record its state. All are safe to repeat."""

from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.database import audit, ledger, outbox, stripe_events
from activities.database.transactions import transaction
from activities.gateways import PayoutGateway
from models.domain import postings
from models.domain.actors import PLATFORM, Subject
from models.domain.messages import Channel
from models.domain.money import Money
from models.domain.notifications import notifications_for
from models.domain.onboarding import ACCOUNT_GONE
from models.domain.payouts import PayoutOrder, PayoutPhase, PayoutState, RecordLostPayout, RecordPayout
from models.domain.states import PaymentStatus, PayoutStatus, advance
from models.tables.audit import AuditEvent, event_about
from models.tables.payments import InstructorPayout, Payment


class NotSettledYet(Exception):
    """A charge in the payout belongs to a booking whose ending is not recorded yet. A retry will find it."""


class PayoutActivities:
    def __init__(self, engine: AsyncEngine, gateway: PayoutGateway) -> None:
        self._engine = engine
        self._gateway = gateway

    @activity.defn
    async def look_up_payout(self, order: PayoutOrder) -> PayoutState:
        return await self._gateway.look_up_payout(order)

    @activity.defn
    async def record_payout(self, message: RecordPayout) -> bool:
        """Record the payout's state. Returns whether the account is an instructor's. Raises `NotSettledYet`."""
        state = message.state
        async with transaction(self._engine) as session:
            instructor_id = await stripe_events.instructor_of(session, state.account_id)
            if instructor_id is None:
                return False
            parts = await _parts(session, state)
            recorder = _PayoutRecorder(session, message, instructor_id, parts)
            await recorder.record_creation()
            if state.phase is PayoutPhase.ARRIVED:
                await recorder.record_arrival()
            elif state.has_come_back:
                await recorder.record_return()
        return True

    @activity.defn
    async def record_lost_payout(self, message: RecordLostPayout) -> None:
        """Nobody can follow the payout any more. No mail: its account is closed, and nothing is paid there again.

        The ledger stays: Stripe has sent the money.
        """
        payout_id = message.order.payout_id
        is_on_its_way = (
            col(InstructorPayout.stripe_payout_id) == payout_id,
            col(InstructorPayout.status) == PayoutStatus.PROCESSING,
        )
        query = select(InstructorPayout).where(*is_on_its_way).order_by(col(InstructorPayout.id)).with_for_update()
        async with transaction(self._engine) as session:
            rows = (await session.exec(query)).all()
            for row in rows:
                row.status = advance(row.status, PayoutStatus.FAILED)
                row.failure_reason = ACCOUNT_GONE
                row.updated_at = message.at
            if rows:
                await audit.append(session, _lost(rows[0].instructor_id, message))


def _lost(instructor_id: UUID, message: RecordLostPayout) -> AuditEvent:
    payout_id = message.order.payout_id
    return event_about(
        Subject.INSTRUCTOR, instructor_id, "instructor.payout_lost", PLATFORM, Channel.WORKFLOW, message.at,
        {"payout_id": payout_id}, occasion=payout_id,
    )  # fmt: skip


class _PayoutRecorder:
    """Writes one payout's rows, ledger entries, audit events and notifications in one transaction."""

    def __init__(
        self, session: AsyncSession, message: RecordPayout, instructor_id: UUID, parts: dict[UUID | None, Money]
    ) -> None:
        self._session = session
        self._state = message.state
        self._at = message.at
        self._instructor_id = instructor_id
        self._parts = parts

    async def record_creation(self) -> None:
        """The money has left the balance at Stripe; each share in the payout is on its way."""
        if not await self._is_new("made"):
            return
        state = self._state
        paid = [postings.paid_out(self._instructor_id, id, state.payout_id, part) for id, part in self._parts.items()]
        await ledger.post(self._session, self._at, *paid)
        for row in await self._rows(id for id, part in self._parts.items() if id and part.amount_minor > 0):
            if row.status is PayoutStatus.FAILED:
                row.status = advance(row.status, PayoutStatus.PROCESSING)
            elif row.status is not PayoutStatus.PROCESSING or row.stripe_payout_id is not None:
                continue
            row.stripe_payout_id = state.payout_id
            row.failure_reason = None
            row.expected_at = state.arrives_at
            row.updated_at = self._at

    async def record_arrival(self) -> None:
        if not await self._is_new("paid"):
            return
        for row in await self._rows(self._parts):
            if row.stripe_payout_id == self._state.payout_id and row.status is PayoutStatus.PROCESSING:
                row.status = advance(row.status, PayoutStatus.PAID)
                row.paid_at = row.updated_at = self._at
        await self._notify(PayoutStatus.PAID)

    async def record_return(self) -> None:
        """The money is back on the balance at Stripe; the next payout includes it."""
        if not await self._is_new("failed"):
            return
        payout_id = self._state.payout_id
        returned = [
            postings.payout_failed(self._instructor_id, booking_id, payout_id, part)
            for booking_id, part in self._parts.items()
        ]
        await ledger.post(self._session, self._at, *returned)
        for row in await self._rows(self._parts):
            if row.stripe_payout_id == payout_id and row.status in (PayoutStatus.PROCESSING, PayoutStatus.PAID):
                row.status = advance(row.status, PayoutStatus.FAILED)
                row.failure_reason = self._state.failure_code
                row.paid_at = None
                row.updated_at = self._at
        await self._notify(PayoutStatus.FAILED)

    async def _is_new(self, outcome: str) -> bool:
        """Append the audit event. Returns whether it is new."""
        state = self._state
        detail = {"payout_id": state.payout_id, **state.amount.model_dump()}
        if outcome == "failed":
            detail["failure_code"] = state.failure_code
        event = event_about(
            Subject.INSTRUCTOR, self._instructor_id, f"instructor.payout_{outcome}", PLATFORM, Channel.WORKFLOW,
            self._at, detail, occasion=state.payout_id,
        )  # fmt: skip
        return await audit.append(self._session, event)

    async def _rows(self, booking_ids: Iterable[UUID | None]) -> Iterable[InstructorPayout]:
        """Locked in a fixed order, so that two payouts of an instructor cannot deadlock."""
        query = (
            select(InstructorPayout)
            .where(col(InstructorPayout.booking_id).in_([id for id in booking_ids if id]))
            .order_by(col(InstructorPayout.id))
            .with_for_update()
        )
        return (await self._session.exec(query)).all()

    async def _notify(self, status: PayoutStatus) -> None:
        state = self._state
        facts: outbox.Facts = {
            **state.amount.model_dump(),
            "sessions": sum(1 for id, part in self._parts.items() if id and part.amount_minor > 0),
            "failure_code": state.failure_code,
        }
        notifications = notifications_for(PayoutStatus.PROCESSING, status)
        await outbox.notify_of_payout(
            self._session, self._instructor_id, state.payout_id, notifications, self._at, facts
        )


async def _parts(session: AsyncSession, state: PayoutState) -> dict[UUID | None, Money]:
    """Each booking's part of the payout, zero parts left out. `None` has the rest, which no booking accounts for."""
    amounts = {line.charge_id: line.amount.amount_minor for line in state.lines}
    query = select(Payment.charge_id, Payment.booking_id, Payment.status).where(
        col(Payment.charge_id).in_(amounts.keys())
    )
    parts: Counter[UUID | None] = Counter()
    for charge_id, booking_id, status in await session.exec(query):
        if status is PaymentStatus.PENDING:
            raise NotSettledYet("a charge's booking has not ended yet")
        parts[booking_id] += amounts[charge_id or ""]
    parts[None] = state.amount.amount_minor - sum(parts.values())
    currency = state.amount.currency
    return {id: Money(amount_minor=part, currency=currency) for id, part in parts.items() if part}
