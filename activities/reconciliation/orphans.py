"""Finds bookings whose workflows were ended from outside, and carries on what other workflows were doing."""

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, or_, select
from temporalio import activity

from activities.database import audit
from activities.database.transactions import transaction
from activities.reconciliation import attention
from activities.reconciliation.attention import AttentionList
from activities.reconciliation.executions import WorkflowLookup
from models.domain.ids import BOOKING_WORKFLOW, workflow_id
from models.domain.payments import PaymentRef
from models.domain.policy import PaymentPlan
from models.domain.reconciliation import DriftKind, FindOrphans, OrphanedBooking, Orphans, SweepOrphans
from models.domain.states import HOLDS_SLOT, BookingStatus, PaymentStatus
from models.domain.stripe_events import RoutingResult
from models.tables.bookings import BookingRequest
from models.tables.payments import Payment, PaymentRenewal
from models.tables.reconciliation import Drift
from models.tables.stripe_events import StripeEventRecord

_BATCH_SIZE = 100


class OrphanActivities:
    def __init__(
        self, engine: AsyncEngine, workflows: WorkflowLookup, shown: AttentionList, pages_url: str | None
    ) -> None:
        self._engine = engine
        self._workflows = workflows
        self._shown = shown
        self._pages_url = pages_url

    @activity.defn
    async def find_orphans(self, message: FindOrphans) -> Orphans:
        """Find open bookings without a running workflow, and restart all other workflows that were ended.

        Checks the open bookings to which no open workflow was found, bookings whose workflow was ended from outside
        since the last run, bookings that received a hold after their workflow had closed, and orphans that an earlier
        run could not resolve.
        """
        since = message.started.workflows_since
        ended = await self._workflows.ended_from_outside(since, is_failed_included=True)
        return await self._look(ended, {*message.unattended, *await self._held(since), *await self._unresolved()})

    @activity.defn
    async def find_new_orphans(self, message: SweepOrphans) -> Orphans:
        """The same for the last minutes alone, at a cost that does not grow with the number of bookings.

        Workflows that have failed are left to the reconciliation: they are likely to fail again. So are orphans that it
        could not resolve.

        Temporal's list of what needs attention is brought up to date as well, since nothing else looks every minute.
        """
        await attention.show(self._engine, self._shown, self._pages_url)
        ended = await self._workflows.ended_from_outside(message.since, is_failed_included=False)
        held = await self._held(message.since)
        unresolved = await self._unresolved() if ended or held else set[UUID]()
        return await self._look([id for id in ended if _booking_id(id) not in unresolved], held - unresolved)

    async def _look(self, ended: Collection[str], suspects: set[UUID]) -> Orphans:
        activity.heartbeat()
        restarted = await self._restart(ended)
        found: list[OrphanedBooking] = []
        ids = sorted(suspects | {booking_id for id in ended if (booking_id := _booking_id(id))})
        for first in range(0, len(ids), _BATCH_SIZE):
            closed = [id for id in ids[first : first + _BATCH_SIZE] if not await self._is_running(id)]
            # Read after the workflows: one that is closed by then had recorded its booking's ending before.
            found += await self._open(closed)
        return Orphans(workflows_checked=len(ids) + restarted, bookings=tuple(found), workflows_restarted=restarted)

    async def _is_running(self, booking_id: UUID) -> bool:
        activity.heartbeat()
        return await self._workflows.is_running(workflow_id(booking_id))

    async def _restart(self, ended: Iterable[str]) -> int:
        """All but bookings, whose money is released instead."""
        restarted = 0
        for id in ended:
            if not id.startswith(BOOKING_WORKFLOW):
                restarted += await self._workflows.restart(id)
                activity.heartbeat()
        return restarted

    async def _held(self, since: datetime) -> set[UUID]:
        """The bookings that received a hold after their workflow had closed."""
        held = select(StripeEventRecord.booking_id).where(
            col(StripeEventRecord.routing_result) == RoutingResult.CLOSED,
            col(StripeEventRecord.type).in_(("payment_intent.amount_capturable_updated", "payment_intent.succeeded")),
            col(StripeEventRecord.at) >= since,
        )
        async with transaction(self._engine) as session:
            return {id for id in await session.exec(held) if id}

    async def _unresolved(self) -> set[UUID]:
        drifted = select(Drift.booking_id).where(
            col(Drift.resolved_at).is_(None), col(Drift.kind) == DriftKind.ORPHANED
        )
        async with transaction(self._engine) as session:
            return {id for id in await session.exec(drifted) if id}

    async def _open(self, booking_ids: list[UUID]) -> list[OrphanedBooking]:
        """The bookings among these that are still open, or whose payment is."""
        query = (
            select(BookingRequest, Payment, PaymentRenewal)
            .outerjoin(Payment, col(Payment.booking_id) == col(BookingRequest.id))
            .outerjoin(
                PaymentRenewal,
                and_(
                    col(PaymentRenewal.booking_id) == col(BookingRequest.id),
                    col(PaymentRenewal.closed_at).is_(None),
                    col(PaymentRenewal.checkout_session_id).is_not(None),
                ),
            )
            .where(
                col(BookingRequest.id).in_(booking_ids),
                or_(col(BookingRequest.status).in_(HOLDS_SLOT), col(Payment.status) == PaymentStatus.PENDING),
            )
        )
        async with transaction(self._engine) as session:
            found = (await session.exec(query)).all()
            rounds = await audit.next_rounds(session, [booking.id for booking, *_ in found])
        return [_orphan(*row, rounds.get(row[0].id, 0)) for row in found]


def _booking_id(workflow_id: str) -> UUID | None:
    if not workflow_id.startswith(BOOKING_WORKFLOW):
        return None
    return UUID(workflow_id.removeprefix(BOOKING_WORKFLOW))


def _orphan(
    booking: BookingRequest, payment: Payment | None, renewal: PaymentRenewal | None, operator_round: int
) -> OrphanedBooking:
    """The booking with its terms, which are rebuilt from the row that they were frozen in."""
    ref = PaymentRef(
        booking_id=booking.id,
        plan=booking.plan,
        student_id=booking.student_id,
        checkout_session_id=booking.checkout_session_id,
        payment_intent_id=payment.payment_intent_id if payment else None,
        operator_round=operator_round,
    )
    renewal_ref = renewal and ref.model_copy(
        update={
            "plan": PaymentPlan.CHARGE_THEN_TRANSFER,
            "checkout_session_id": renewal.checkout_session_id,
            "payment_intent_id": None,
            "is_renewal": True,
        }
    )
    is_accepted = booking.status is BookingStatus.ACCEPTED
    return OrphanedBooking(terms=booking.terms, ref=ref, is_accepted=is_accepted, renewal_ref=renewal_ref or None)
