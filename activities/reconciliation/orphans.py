"""Bookings, disputes, refunds and payouts whose workflows somebody ended from outside."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, or_, select
from temporalio import activity

from activities.database.transactions import transaction
from activities.reconciliation.redelivery import EventReceiver
from models.domain.ids import BOOKING_WORKFLOW, DISPUTE_WORKFLOW, PAYOUT_WORKFLOW, REFUND_WORKFLOW, workflow_id
from models.domain.messages import PaymentRef
from models.domain.money import Money
from models.domain.policy import BookingPolicy
from models.domain.reconciliation import DriftKind, OrphanedBooking, Orphans, ReconciliationStarted
from models.domain.states import HOLDS_SLOT, BookingStatus, PaymentStatus
from models.domain.stripe_events import RoutingResult, StripeEvent
from models.domain.terms import BookingTerms
from models.tables.bookings import BookingRequest
from models.tables.payments import InstructorPayout, Payment
from models.tables.people import Instructor
from models.tables.reconciliation import Drift
from models.tables.stripe_events import StripeEventRecord

_OVERDUE = timedelta(minutes=15)
"""A booking whose workflow runs has moved on by then."""
_AT_ONCE = 100


class WorkflowRegister(Protocol):
    """Temporal's book of workflows."""

    async def ended_from_outside(self, since: datetime) -> list[str]:
        """The workflow ids of bookings, disputes, refunds and payouts that were terminated, failed or timed out."""

    async def is_running(self, workflow_id: str) -> bool:
        """Whether the latest run of that id is open."""


class OrphanActivities:
    def __init__(self, engine: AsyncEngine, register: WorkflowRegister, receiver: EventReceiver) -> None:
        self._engine = engine
        self._register = register
        self._receiver = receiver

    @activity.defn
    async def find_orphans(self, started: ReconciliationStarted) -> Orphans:
        """Open bookings without a workflow; disputes, refunds and payouts without one are looked at again.

        Looked at are those whose workflows were ended from outside since the last run, those that a hold came for when
        they were closed, those that should have moved on, and those that an earlier run could not put right.
        """
        ended = await self._register.ended_from_outside(started.workflows_since)
        activity.heartbeat()
        looks = await self._restart(ended)
        candidates = {UUID(id.removeprefix(BOOKING_WORKFLOW)) for id in ended if id.startswith(BOOKING_WORKFLOW)}
        candidates |= await self._suspects(started)
        found: list[OrphanedBooking] = []
        ids = sorted(candidates)
        for first in range(0, len(ids), _AT_ONCE):
            for booking in await self._open(ids[first : first + _AT_ONCE]):
                activity.heartbeat()
                if not await self._register.is_running(workflow_id(booking.terms.booking_id)):
                    found.append(booking)
        return Orphans(workflows_checked=len(ids) + looks, bookings=tuple(found), looks_ordered=looks)

    async def _restart(self, ended: Iterable[str]) -> int:
        looks = 0
        for id in ended:
            event = await self._news_for(id)
            if event is None or await self._register.is_running(id):
                continue
            await self._receiver.restart(event)
            activity.heartbeat()
            looks += 1
        return looks

    async def _news_for(self, workflow_id: str) -> StripeEvent | None:
        """What has its workflow started again."""
        made_up = f"reconciliation-{activity.info().workflow_run_id}"
        if workflow_id.startswith(DISPUTE_WORKFLOW):
            id = workflow_id.removeprefix(DISPUTE_WORKFLOW)
            return StripeEvent(id=made_up, type="charge.dispute.updated", object_id=id)
        if workflow_id.startswith(REFUND_WORKFLOW):
            refund_id = UUID(workflow_id.removeprefix(REFUND_WORKFLOW))
            return StripeEvent(id=made_up, type="refund.updated", refund_id=refund_id)
        if not workflow_id.startswith(PAYOUT_WORKFLOW):
            return None
        id = workflow_id.removeprefix(PAYOUT_WORKFLOW)
        query = (
            select(Instructor.stripe_account_id)
            .join(InstructorPayout, col(InstructorPayout.instructor_id) == col(Instructor.id))
            .where(col(InstructorPayout.stripe_payout_id) == id)
        )
        async with transaction(self._engine) as session:
            account = (await session.exec(query)).first()
        # Without a row, its own events bring it back: they are the account's, and read again with them.
        return StripeEvent(id=made_up, type="payout.updated", account=account, object_id=id) if account else None

    async def _suspects(self, started: ReconciliationStarted) -> set[UUID]:
        held = select(StripeEventRecord.booking_id).where(
            col(StripeEventRecord.routing_result) == RoutingResult.CLOSED,
            col(StripeEventRecord.type) == "payment_intent.amount_capturable_updated",
            col(StripeEventRecord.at) >= started.workflows_since,
        )
        overdue = select(BookingRequest.id).where(
            col(BookingRequest.status).in_(HOLDS_SLOT),
            col(BookingRequest.next_deadline_at) < started.at - _OVERDUE,
            col(BookingRequest.needs_attention).is_(False),
        )
        drifted = select(Drift.booking_id).where(
            col(Drift.resolved_at).is_(None), col(Drift.kind) == DriftKind.ORPHANED
        )
        async with transaction(self._engine) as session:
            return {id for query in (held, overdue, drifted) for id in await session.exec(query) if id}

    async def _open(self, booking_ids: list[UUID]) -> list[OrphanedBooking]:
        """Those of the bookings that have not ended, or whose payment has not."""
        query = (
            select(BookingRequest, Instructor.stripe_account_id, Payment)
            .join(Instructor, col(Instructor.id) == col(BookingRequest.instructor_id))
            .outerjoin(Payment, col(Payment.booking_id) == col(BookingRequest.id))
            .where(
                col(BookingRequest.id).in_(booking_ids),
                or_(col(BookingRequest.status).in_(HOLDS_SLOT), col(Payment.status) == PaymentStatus.PENDING),
            )
        )
        async with transaction(self._engine) as session:
            return [_unowned(*row) for row in await session.exec(query)]


def _unowned(booking: BookingRequest, account_id: str | None, payment: Payment | None) -> OrphanedBooking:
    """Its terms, from the row that was frozen of them."""
    terms = BookingTerms(
        booking_id=booking.id,
        student_id=booking.student_id,
        instructor_id=booking.instructor_id,
        offering_id=booking.offering_id,
        slot_id=booking.slot_id,
        starts_at=booking.starts_at,
        ends_at=booking.ends_at,
        price=Money(amount_minor=booking.price_minor, currency=booking.currency),
        policy=BookingPolicy.model_validate(booking.policy),
        plan=booking.plan,
        stripe_account_id=account_id or "",
        buffer_before_minutes=booking.buffer_before_minutes,
        buffer_after_minutes=booking.buffer_after_minutes,
        is_recorded=booking.is_recorded,
    )
    ref = PaymentRef(
        booking_id=booking.id,
        plan=booking.plan,
        student_id=booking.student_id,
        checkout_session_id=booking.checkout_session_id,
        payment_intent_id=payment.payment_intent_id if payment else None,
    )
    return OrphanedBooking(terms=terms, ref=ref, is_accepted=booking.status is BookingStatus.ACCEPTED)
