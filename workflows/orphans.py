"""Bookings whose workflow was ended from outside are ended as it would have ended them when it was cancelled.

Once a minute, a sweep looks for workflows that were ended since: terminated in Temporal's UI, say. The reconciliation
finds the bookings that a sweep missed, or could not end.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.booking.payments import PaymentActivities
    from activities.booking.records import RecordActivities
    from activities.reconciliation.orphans import OrphanActivities
    from models.domain import endings
    from models.domain.actors import PLATFORM
    from models.domain.endings import Ending, EndReason
    from models.domain.ids import ordered_reconciliation_id
    from models.domain.messages import Channel, RecordEnding, RecordRenewedPayment
    from models.domain.money import Money
    from models.domain.payments import (
        PAID_AGAIN,
        HoldPhase,
        PaymentRef,
        PaymentState,
        SettlePayment,
    )
    from models.domain.policy import PaymentPlan
    from models.domain.reconciliation import (
        OrphanedBooking,
        ReconciliationOrder,
        SweepOrphans,
        SweepReport,
    )
    from workflows.activity_calls import CALL_TIMEOUT, call_stripe, is_declined, persist, read, reason_of

_LOOK_BACK = timedelta(minutes=10)
"""How far each sweep looks back. It may be late, and so may the list of ended workflows."""


@workflow.defn(name="OrphanSweep")
class OrphanSweepWorkflow:
    @workflow.run
    async def run(self) -> SweepReport:
        sweep = SweepOrphans(since=workflow.now() - _LOOK_BACK)
        found = await read(OrphanActivities.find_new_orphans, sweep)
        left = await asyncio.gather(*(end(booking, CALL_TIMEOUT) for booking in found.bookings))
        stuck = sum(each is not None for each in left)
        if stuck:
            await self._reconcile()
        return SweepReport(ended=len(left) - stuck, stuck=stuck, restarted=found.workflows_restarted)

    async def _reconcile(self) -> None:
        """It tries for longer, and records what is left to an operator."""
        with suppress(WorkflowAlreadyStartedError):
            await workflow.start_child_workflow(
                "Reconciliation",
                ReconciliationOrder(),
                id=ordered_reconciliation_id(workflow.info().task_queue),
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            )


@dataclass(frozen=True)
class NotEnded:
    """Why a booking could not be ended."""

    reason: str
    captured: Money | None = None


async def end(booking: OrphanedBooking, budget: timedelta) -> NotEnded | None:
    """End a booking as its workflow would have when it was cancelled. Calls to Stripe are retried for `budget`."""
    try:
        await _end(booking, budget)
    except ActivityError as failure:
        return NotEnded(reason_of(failure))
    except _CapturedInPart as part:
        return NotEnded("a part was captured and its workflow was ended from outside", part.captured)
    return None


async def _end(booking: OrphanedBooking, budget: timedelta) -> None:
    until = workflow.now() + budget
    if booking.renewal_ref is not None:
        booking = await _without_renewal(booking, booking.renewal_ref, until)
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


async def _without_renewal(booking: OrphanedBooking, page: PaymentRef, until: datetime) -> OrphanedBooking:
    """Close the page on which its student could pay again. If they have, that payment takes the place of the hold."""
    try:
        await call_stripe(PaymentActivities.release_payment, page, until)
    except ActivityError as failure:
        if not is_declined(failure, PAID_AGAIN):
            raise
    else:
        return booking
    paid = await call_stripe(PaymentActivities.look_up_payment, page, until)
    await call_stripe(PaymentActivities.release_payment, booking.ref, until)
    terms = booking.terms.model_copy(update={"plan": PaymentPlan.CHARGE_THEN_TRANSFER})
    renewed = RecordRenewedPayment(terms=terms, payment=paid, deadline_at=None, at=workflow.now())
    await persist(RecordActivities.record_renewed_payment, renewed)
    return booking.model_copy(update={"terms": terms, "ref": page.model_copy(update={"is_renewal": False})})


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
        fee, share = ending.split.platform_fee, ending.split.instructor_payout
        is_ours = not payment.missing_share(share) if is_charge else payment.platform_fee_minor == fee.amount_minor
        if not is_ours or (payment.refunded_minor and not is_charge):
            raise _CapturedInPart(taken)
        return ending
    if is_charge and payment.phase is HoldPhase.HELD and payment.refunded_minor:
        raise _CapturedInPart(taken)
    if not payment.was_held and payment.phase is HoldPhase.CLOSED:
        return endings.unpaid(terms, EndReason.CHECKOUT_EXPIRED, payment.decline_code, payment.advice_code)
    return endings.cancelled(terms, PLATFORM, workflow.now(), booking.is_accepted)
