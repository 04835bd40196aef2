"""Stripe, the ledger and Temporal's list of workflows are compared, and what can be repaired is repaired.

    compare records with workflows ── redeliver missed events ── end bookings without a workflow
        ── compare the ledger with Stripe ── compare again ── record

Each run continues where the last finished run stopped reading, so its cost follows what has changed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.booking.payments import PaymentActivities
    from activities.booking.records import RecordActivities
    from activities.reconciliation.comparison import ComparisonActivities
    from activities.reconciliation.executions import ExecutionActivities
    from activities.reconciliation.orphans import OrphanActivities
    from activities.reconciliation.redelivery import RedeliveryActivities
    from activities.reconciliation.runs import ReconciliationActivities
    from models.domain import endings
    from models.domain.actors import PLATFORM
    from models.domain.endings import Ending, EndReason
    from models.domain.messages import Channel, HoldPhase, PaymentState, RecordEnding, SettlePayment
    from models.domain.money import Money
    from models.domain.policy import PaymentPlan
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
    from workflows.activity_calls import call_stripe, persist, reason_of

T = TypeVar("T")
A = TypeVar("A")

_RETRY = RetryPolicy(maximum_interval=timedelta(minutes=1))
_READ_TIMEOUT = timedelta(hours=6)
_READ_HEARTBEAT = timedelta(minutes=2)
"""Longer than any single call that a reading activity makes."""
_RELEASE_BUDGET = timedelta(hours=1)
_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (1, 2, 5))
"""Before differences are compared again: a workflow that has just received an event needs a moment."""


@workflow.defn(name="Reconciliation")
class ReconciliationWorkflow:
    @workflow.run
    async def run(self, order: ReconciliationOrder) -> ReconciliationReport:
        started = await self._begin(order)
        # First: a missed event that is redelivered starts a failed workflow again.
        executions = await _read(ExecutionActivities.compare_executions, started)
        platform = await _read(RedeliveryActivities.redeliver_platform_events, started)
        connected = await _read(RedeliveryActivities.redeliver_account_events, started)
        find = FindOrphans(started=started, unattended=executions.unattended)
        orphans = await _read(OrphanActivities.find_orphans, find)
        stuck = await self._end_orphans(orphans)
        compared, differences = await self._compare(started)
        finish = FinishReconciliation(
            started=started,
            finished_at=workflow.now(),
            platform=platform,
            connected=connected,
            # Their terms are in the history already.
            orphans=orphans.model_copy(update={"bookings": ()}),
            holds_released=len(orphans.bookings) - len(stuck),
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

    async def _end_orphans(self, orphans: Orphans) -> list[Difference]:
        """End each as its workflow would have when cancelled. The ones that cannot be ended are left to an operator."""
        stuck = []
        for booking in orphans.bookings:
            try:
                await self._end(booking)
            except ActivityError as failure:
                stuck.append(_stuck(booking, reason_of(failure)))
            except ApplicationError as failure:  # of a local activity
                stuck.append(_stuck(booking, failure.message))
            except _CapturedInPart as part:
                stuck.append(
                    _stuck(booking, "a part was captured and its workflow was ended from outside", part.captured)
                )
        return stuck

    async def _end(self, booking: OrphanedBooking) -> None:
        until = workflow.now() + _RELEASE_BUDGET
        if booking.renewal_ref is not None:
            await call_stripe(PaymentActivities.release_payment, booking.renewal_ref, until)
        payment = await call_stripe(PaymentActivities.look_up_payment, booking.ref, until)
        ending = _ending(booking, payment)
        found = {"checkout_session_id": payment.checkout_session_id, "payment_intent_id": payment.payment_intent_id}
        ref = booking.ref.model_copy(update=found)
        if ending.split.kept:
            settle = SettlePayment(ref=ref, split=ending.split, stripe_account_id=booking.terms.stripe_account_id)
            payment = await call_stripe(PaymentActivities.settle_payment, settle, until)
        else:
            payment = await call_stripe(PaymentActivities.release_payment, ref, until)
            ending = _ending(booking, payment)
        record = RecordEnding(
            terms=booking.terms, ending=ending, channel=Channel.WORKFLOW, payment=payment, at=workflow.now()
        )
        await persist(RecordActivities.record_ending, record)

    async def _compare(self, started: ReconciliationStarted) -> tuple[ComparisonResult, tuple[Difference, ...]]:
        """What was compared, and what still differs at the last look."""
        compared = await _read(ComparisonActivities.compare_books, started)
        differences, totals = compared.differences, compared.totals
        for pause in _PAUSES:
            if not differences:
                break
            await asyncio.sleep(pause.total_seconds())
            again = await _read(ComparisonActivities.compare_differences, list(differences))
            totals = _corrected(totals, differences, again.totals)
            differences = again.differences
        return compared.model_copy(update={"totals": totals}), differences


class _CapturedInPart(Exception):
    """A part was captured with another fee than ours, or refunded since: somebody else has done that."""

    def __init__(self, captured: Money) -> None:
        super().__init__("captured in part")
        self.captured = captured


def _ending(booking: OrphanedBooking, payment: PaymentState) -> Ending:
    """As if its workflow had been cancelled. What was captured by our own rules had been decided, and stays."""
    terms, is_charge = booking.terms, booking.terms.plan is PaymentPlan.CHARGE_THEN_TRANSFER
    taken = Money(amount_minor=payment.captured_minor - payment.refunded_minor, currency=terms.price.currency)
    if payment.phase is HoldPhase.CAPTURED and not payment.is_returned:
        if taken == terms.price:
            return endings.completed(terms, PLATFORM)
        ending = endings.cut_short(terms, taken)
        share, fee = ending.split.instructor_payout.amount_minor, ending.split.platform_fee.amount_minor
        is_ours = payment.instructor_minor == share if is_charge else payment.platform_fee_minor == fee
        if not is_ours or (payment.refunded_minor and not is_charge):
            raise _CapturedInPart(taken)
        return ending
    if is_charge and payment.phase is HoldPhase.HELD and payment.refunded_minor:
        raise _CapturedInPart(taken)
    if not payment.was_held and payment.phase is HoldPhase.CLOSED:
        return endings.unpaid(terms, EndReason.CHECKOUT_EXPIRED, payment.decline_code, payment.advice_code)
    return endings.cancelled(terms, PLATFORM, workflow.now(), booking.is_accepted)


def _stuck(booking: OrphanedBooking, why: str, at_stripe: Money | None = None) -> Difference:
    price = booking.terms.price
    return Difference(
        kind=DriftKind.ORPHANED,
        subject=booking.terms.booking_id,
        book=Book.CARD_HOLDS,
        ledger=price,
        stripe=at_stripe or price,
        detail=f"no workflow carries it on: {why}",
    )


def _corrected(
    totals: tuple[Total, ...], before: tuple[Difference, ...], again: tuple[Total, ...]
) -> tuple[Total, ...]:
    """The totals, with the differences as they were at the later look."""
    undone = [Total(book=each.book, ledger=-each.ledger, stripe=-each.stripe) for each in before]
    return add_up(totals, [*undone, *again])


async def _read(activity: Callable[[Any, A], Awaitable[T]], request: A) -> T:
    """An activity that reads page by page for as long as it takes, with a heartbeat at each page."""
    return await workflow.execute_activity_method(
        activity,
        request,
        start_to_close_timeout=_READ_TIMEOUT,
        schedule_to_close_timeout=_READ_TIMEOUT,
        heartbeat_timeout=_READ_HEARTBEAT,
        retry_policy=_RETRY,
    )
