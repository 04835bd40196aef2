"""Stripe, the ledger and Temporal's list of workflows are compared, and what can be repaired is repaired.

    compare records with workflows ── redeliver missed events ── end bookings without a workflow
        ── compare the ledger with Stripe ── compare again ── record

Each run continues where the last finished run stopped reading, so its cost follows what has changed.
"""

import asyncio
from datetime import timedelta
from uuid import UUID

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.reconciliation.comparison import ComparisonActivities
    from activities.reconciliation.executions import ExecutionActivities
    from activities.reconciliation.orphans import OrphanActivities
    from activities.reconciliation.redelivery import RedeliveryActivities
    from activities.reconciliation.runs import ReconciliationActivities
    from models.domain.reconciliation import (
        Book,
        ComparisonResult,
        Difference,
        DriftKind,
        FindOrphans,
        FinishReconciliation,
        OrphanedBooking,
        Orphans,
        ReconciliationOrder,
        ReconciliationReport,
        ReconciliationStarted,
        StartReconciliation,
        Total,
        add_up,
    )
    from workflows import orphans
    from workflows.activity_calls import persist, read, read_stripe
    from workflows.orphans import NotEnded

_RELEASE_BUDGET = timedelta(hours=1)
_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (1, 2, 5))
"""Before differences are compared again: a workflow that has just received an event needs a moment."""


@workflow.defn(name="Reconciliation")
class ReconciliationWorkflow:
    @workflow.run
    async def run(self, order: ReconciliationOrder) -> ReconciliationReport:
        started = await self._begin(order)
        # First: a missed event that is redelivered starts a failed workflow again.
        executions = await read(ExecutionActivities.compare_executions, started)
        platform = await read_stripe(RedeliveryActivities.redeliver_platform_events, started)
        connected = await read_stripe(RedeliveryActivities.redeliver_account_events, started)
        find = FindOrphans(started=started, unattended=executions.unattended)
        found = await read(OrphanActivities.find_orphans, find)
        stuck = await self._end_orphans(found)
        compared, differences = await self._compare(started)
        finish = FinishReconciliation(
            started=started,
            finished_at=workflow.now(),
            platform=platform,
            connected=connected,
            # Their terms are in the history already.
            orphans=found.model_copy(update={"bookings": ()}),
            holds_released=len(found.bookings) - len(stuck),
            compared=compared,
            differences=(*stuck, *executions.differences, *differences),
            workflows_failed=executions.workflows_failed,
        )
        await persist(ReconciliationActivities.finish_reconciliation, finish)
        return ReconciliationReport(
            events_read=platform.read + connected.read,
            events_redelivered=platform.redelivered + connected.redelivered,
            holds_released=finish.holds_released,
            bookings_compared=compared.bookings,
            drifts=len(finish.differences),
        )

    async def _begin(self, order: ReconciliationOrder) -> ReconciliationStarted:
        message = StartReconciliation(id=UUID(workflow.info().run_id), by=order.by, at=workflow.now())
        return await persist(ReconciliationActivities.start_reconciliation, message)

    async def _end_orphans(self, found: Orphans) -> list[Difference]:
        """The ones that cannot be ended are left to an operator."""
        stuck = []
        for booking in found.bookings:
            if left := await orphans.end(booking, _RELEASE_BUDGET):
                stuck.append(_stuck(booking, left))
        return stuck

    async def _compare(self, started: ReconciliationStarted) -> tuple[ComparisonResult, tuple[Difference, ...]]:
        """What was compared, and what still differs at the last look."""
        compared = await read_stripe(ComparisonActivities.compare_books, started)
        differences, totals = compared.differences, compared.totals
        for pause in _PAUSES:
            if not differences:
                break
            await asyncio.sleep(pause.total_seconds())
            again = await read_stripe(ComparisonActivities.compare_differences, list(differences))
            totals = _corrected(totals, differences, again.totals)
            differences = again.differences
        return compared.model_copy(update={"totals": totals}), differences


def _stuck(booking: OrphanedBooking, left: NotEnded) -> Difference:
    price = booking.terms.price
    return Difference(
        kind=DriftKind.ORPHANED,
        subject=booking.terms.booking_id,
        book=Book.CARD_HOLDS,
        ledger=price,
        stripe=left.captured or price,
        detail=f"no workflow carries it on: {left.reason}",
    )


def _corrected(
    totals: tuple[Total, ...], before: tuple[Difference, ...], again: tuple[Total, ...]
) -> tuple[Total, ...]:
    """The totals, with the differences as they were at the later look."""
    undone = [Total(book=each.book, ledger=-each.ledger, stripe=-each.stripe) for each in before]
    return add_up(totals, [*undone, *again])
