"""Temporal was lost, or restored from a backup: workflows start again where the records have them.

Each looks at Stripe and at the records before it does anything, so it moves no money twice.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import and_, col, delete, or_, select, update
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from activities.booking.payment_plans import Plan
from activities.database.transactions import transaction
from models.domain import policy
from models.domain.disputes import DisputeOrder
from models.domain.ids import dispute_workflow_id, payout_workflow_id, refund_workflow_id, workflow_id
from models.domain.messages import ReserveSlot
from models.domain.payments import HoldPhase, PaymentRef
from models.domain.payouts import PayoutOrder
from models.domain.policy import PaymentPlan
from models.domain.refunds import RefundOrder
from models.domain.states import HOLDS_SLOT, PayoutStatus, RefundStatus
from models.tables.bookings import BookingRequest
from models.tables.disputes import Dispute
from models.tables.payments import InstructorPayout, Payment
from models.tables.people import Instructor
from models.tables.reconciliation import Reconciliation
from models.tables.refunds import Refund
from models.tables.stripe_events import StripeEventRecord
from workflows.booking.workflow import BookingWorkflow
from workflows.client.executions import WorkflowExecutions
from workflows.disputes import DisputeWorkflow
from workflows.payouts import PayoutWorkflow
from workflows.refunds import RefundWorkflow
from workflows.search_attributes import at_start, summary

_BATCH_SIZE = 500
_TASK_TIMEOUT = timedelta(seconds=5)
_REPLACE, _JOIN = WorkflowIDConflictPolicy.TERMINATE_EXISTING, WorkflowIDConflictPolicy.USE_EXISTING


class ExecutionRestore:
    def __init__(self, client: Client, task_queue: str, engine: AsyncEngine, plans: Mapping[PaymentPlan, Plan]) -> None:
        self._client = client
        self._task_queue = task_queue
        self._engine = engine
        self._plans = plans

    async def start_bookings(self) -> tuple[int, int]:
        """Start every open booking's workflow from its records. One that is behind them is replaced.

        Returns how many, and how many were left out: their money was captured or returned by an ending that no record
        has. A workflow would ask for it again, or return it. The reconciliation ends them as Stripe has them.
        """
        started = set[UUID]()
        left_out = 0
        async for booking, payment in self._open_bookings():
            if await self._has_ended_at_stripe(booking, payment):
                left_out += 1
                continue
            started.add(booking.id)
            order = order_of(booking)
            line = summary(booking.title, booking.starts_at, order.terms.price)
            await self._client.start_workflow(
                BookingWorkflow.run,
                order,
                id=workflow_id(booking.id),
                task_queue=self._task_queue,
                id_conflict_policy=_REPLACE,
                search_attributes=at_start(order, line),
                static_summary=line,
                task_timeout=_TASK_TIMEOUT,
            )
        await self._terminate_others(started)
        return len(started), left_out

    async def _has_ended_at_stripe(self, booking: BookingRequest, recorded: Payment | None) -> bool:
        """A hold that lapsed has not ended its booking: the student pays again."""
        if booking.checkout_session_id is None or (recorded is not None and recorded.lapsed_at is not None):
            return False
        ref = PaymentRef(
            booking_id=booking.id,
            plan=booking.plan,
            student_id=booking.student_id,
            checkout_session_id=booking.checkout_session_id,
        )
        payment = await self._plans[booking.plan].look_up(ref, None)
        if payment.phase is HoldPhase.GONE and recorded is not None and recorded.hold_ends_at is not None:
            return datetime.now(UTC) < recorded.hold_ends_at
        return payment.phase in (HoldPhase.CAPTURED, HoldPhase.GONE) or payment.is_returned

    async def _terminate_others(self, started: set[UUID]) -> None:
        """A restored Temporal has workflows of bookings that have ended since."""
        executions = WorkflowExecutions(self._client, self._task_queue)
        ended = [each.booking_id async for each in executions.open_bookings() if each.booking_id not in started]
        for id in ended:
            if await executions.is_running(workflow_id(id)):
                await self._client.get_workflow_handle(workflow_id(id)).terminate(
                    reason="restore: the booking has ended"
                )

    async def _open_bookings(self) -> AsyncIterator[tuple[BookingRequest, Payment | None]]:
        after: UUID | None = None
        while True:
            query = (
                select(BookingRequest, Payment)
                .outerjoin(Payment, col(Payment.booking_id) == col(BookingRequest.id))
                .where(col(BookingRequest.status).in_(HOLDS_SLOT))
            )
            if after is not None:
                query = query.where(col(BookingRequest.id) > after)
            async with transaction(self._engine) as session:
                batch = (await session.exec(query.order_by(col(BookingRequest.id)).limit(_BATCH_SIZE))).all()
            for booking, payment in batch:
                yield booking, payment
            if len(batch) < _BATCH_SIZE:
                return
            after = batch[-1][0].id

    async def start_others(self) -> int:
        """Start the workflows of refunds, disputes and payouts that are under way. Those that run are left alone."""
        async with transaction(self._engine) as session:
            refunds = await _refunds_under_way(session)
            disputes = (await session.exec(select(Dispute.id).where(col(Dispute.closed_at).is_(None)))).all()
            payouts = await _payouts_under_way(session)
        for refund_id in refunds:
            await self._client.start_workflow(
                RefundWorkflow.run,
                RefundOrder(refund_id=refund_id),
                id=refund_workflow_id(refund_id),
                task_queue=self._task_queue,
                id_conflict_policy=_JOIN,
            )
        for dispute_id in disputes:
            await self._client.start_workflow(
                DisputeWorkflow.run,
                DisputeOrder(dispute_id=dispute_id),
                id=dispute_workflow_id(dispute_id),
                task_queue=self._task_queue,
                id_conflict_policy=_JOIN,
            )
        for order in payouts:
            await self._client.start_workflow(
                PayoutWorkflow.run,
                order,
                id=payout_workflow_id(order.payout_id),
                task_queue=self._task_queue,
                id_conflict_policy=_JOIN,
            )
        return len(refunds) + len(disputes) + len(payouts)

    async def forget_events(self, since: datetime) -> int:
        """Have the next reconciliation deliver Stripe's events since then again: what they led to may be lost.

        An event that is delivered twice changes nothing.
        """
        async with transaction(self._engine) as session:
            forgotten = await session.exec(delete(StripeEventRecord).where(col(StripeEventRecord.at) >= since))
            for table in (Reconciliation, Instructor):
                until = col(table.events_until)
                await session.exec(update(table).where(until > since).values(events_until=since))
        return forgotten.rowcount


def order_of(booking: BookingRequest) -> ReserveSlot:
    """The order for a workflow that goes on from the booking's records, and reserves nothing."""
    terms = booking.terms
    return ReserveSlot(
        terms=terms,
        booked_at=booking.created_at,
        checkout_deadline_at=policy.checkout_deadline(terms.policy.deadlines, booking.created_at, terms.starts_at),
        is_reset=True,
    )


async def _refunds_under_way(session: AsyncSession) -> list[UUID]:
    """One that has failed is under way if an operator has ordered another try."""
    is_retried = and_(col(Refund.status) == RefundStatus.FAILED, col(Refund.failure_reason).is_(None))
    under_way = (RefundStatus.REQUESTED, RefundStatus.RESERVED, RefundStatus.PENDING)
    query = select(Refund.id).where(or_(col(Refund.status).in_(under_way), is_retried))
    return list(await session.exec(query.order_by(col(Refund.id))))


async def _payouts_under_way(session: AsyncSession) -> list[PayoutOrder]:
    query = (
        select(InstructorPayout.stripe_payout_id, Instructor.stripe_account_id)
        .join(Instructor, col(Instructor.id) == col(InstructorPayout.instructor_id))
        .where(
            col(InstructorPayout.status) == PayoutStatus.PROCESSING,
            col(InstructorPayout.stripe_payout_id).is_not(None),
            col(Instructor.stripe_account_id).is_not(None),
        )
        .distinct()
    )
    rows = await session.exec(query)
    return [PayoutOrder(payout_id=payout, account_id=account) for payout, account in rows if payout and account]
