"""Update and signal handlers of the Booking workflow.

Updates are for callers that want an answer, signals for those that do not. An update that the booking's situation
does not allow is refused before it enters the history, with `Refusal.NOT_POSSIBLE_NOW` and a sentence; such a signal
is shown and recorded as refused.
"""

import asyncio
from collections.abc import Sequence

from pydantic import ValidationError
from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from models.domain.messages import (
        Approve,
        BookingView,
        Cancel,
        Complete,
        Confirm,
        ContestNoShow,
        Decision,
        Extend,
        Object,
        PaymentEvent,
        Refusal,
        Reject,
        Release,
        ReportNoShow,
        Reschedule,
        ReserveSlot,
        Retry,
        Settle,
        SettleAndRefund,
    )
    from workflows.booking.decisions import Decisions
    from workflows.booking.outcomes import Outcomes
    from workflows.booking.progress import Progress
    from workflows.booking.refused_signals import REFUSED_SIGNALS, RefusedSignals, unreadable
    from workflows.booking.state import BookingState
    from workflows.descriptions import describe, described_update


_OVERTAKEN = "Another decision, or the deadline, came first."
_CARRIED_OUT = "This decision was carried out before the workflow was reset."


class BookingHandlers:
    """A signal and its update end in the same method, `Decisions.apply`."""

    decisions_type: type[Decisions] = Decisions
    """The rules. Tests take one out, and see what that allows."""

    def __init__(self, order: ReserveSlot) -> None:
        self._state = BookingState.of(order)
        self._decisions = self.decisions_type(self._state)
        self._progress = Progress(self._state)
        self._refused_signals = RefusedSignals(self._state, self._progress)
        self._outcomes = Outcomes(self._state, self._progress)

    def _validate(self, decision: Decision) -> None:
        """Only of a new update: a replay must accept what an earlier version has accepted."""
        self._check(decision)
        if claim := self._decisions.claim_refusal(decision):
            raise ApplicationError(claim, type=Refusal.NOT_POSSIBLE_NOW)

    def _check(self, decision: Decision) -> None:
        if not self._is_current(decision):
            return  # Checked once it is.
        if _update_id() in self._state.carried_out:
            raise ApplicationError(_CARRIED_OUT, type=Refusal.NOT_POSSIBLE_NOW)
        if reason := self._decisions.refusal(decision, workflow.now()):
            raise ApplicationError(reason, type=Refusal.NOT_POSSIBLE_NOW)

    async def _handle_update(self, decision: Decision) -> BookingView:
        """Raises `Refusal.NOT_POSSIBLE_NOW` if the decision is not possible, or was overtaken by another one."""
        state, at = self._state, workflow.now()
        while True:
            if not self._is_current(decision):
                await workflow.wait_condition(lambda: self._is_current(decision))
            # Checked a second time: an earlier update in the same workflow task may have changed the situation.
            self._check(decision)
            resumed, deadline = state.resumed, state.deadline
            self._decisions.apply(decision, at)
            state.decided_in = _update_id()
            await self._outcomes.wait_for(decision, deadline)
            if state.resumed == resumed or self._decisions.took_effect(decision):
                break
        if not state.is_parked and not self._decisions.took_effect(decision):
            raise ApplicationError(_OVERTAKEN, type=Refusal.NOT_POSSIBLE_NOW)
        return state.view

    async def _handle_signal(self, signal: str, kind: type[Decision], received: object) -> None:
        """`received` is whatever somebody typed. The SDK would drop what it cannot read, and nobody would see it."""
        # Updates of the same workflow task come first. Of what a reset sends again, a worker gets them first anyway,
        # but in a replay it gets the signals first.
        await asyncio.sleep(0)
        actor, resumed = None, self._state.resumed
        try:
            decision = kind.model_validate(received)
            actor, claim = decision.actor, self._decisions.claim_refusal(decision)
            if claim and workflow.patched(REFUSED_SIGNALS):
                raise ApplicationError(claim, type=Refusal.NOT_POSSIBLE_NOW)
            await self._handle_update(decision)
        except ValidationError as error:
            await self._refused_signals.record(signal, unreadable(error))
        except ApplicationError as refusal:
            # Otherwise it was sent before the workflow was reset, and had its effect then.
            if self._state.resumed == resumed:
                await self._refused_signals.record(signal, refusal.message, actor)

    def _is_current(self, decision: Decision) -> bool:
        """Not before the slot is reserved, nor after a reset until the booking goes on from its records.

        Nor, for an approval, while the payment is being authorized: if a worker dies then, people have read that it is.
        """
        state = self._state
        if isinstance(decision, Approve | Reject) and state.is_authorizing and not state.is_parked:
            return False
        return state.is_closed or (not self._progress.was_reset and (state.is_reserved or state.is_parked))

    @workflow.signal(description=describe(PaymentEvent))
    def payment_event(self, event: PaymentEvent | None = None) -> None:
        self._state.on_payment_event(event)

    @workflow.signal(name="approve", description=describe(Approve))
    async def approve_signal(self, decision: object = None) -> None:
        await self._handle_signal("approve", Approve, decision)

    @workflow.signal(name="reject", description=describe(Reject))
    async def reject_signal(self, decision: object = None) -> None:
        await self._handle_signal("reject", Reject, decision)

    @workflow.signal(name="complete", description=describe(Complete))
    async def complete_signal(self, decision: object = None) -> None:
        await self._handle_signal("complete", Complete, decision)

    @workflow.signal(name="report_no_show", description=describe(ReportNoShow))
    async def report_no_show_signal(self, decision: object = None) -> None:
        await self._handle_signal("report_no_show", ReportNoShow, decision)

    @workflow.signal(name="cancel", description=describe(Cancel))
    async def cancel_signal(self, decision: object = None) -> None:
        await self._handle_signal("cancel", Cancel, decision)

    @workflow.signal(dynamic=True)
    async def unknown_signal(self, name: str, arguments: Sequence[RawValue]) -> None:
        """Its name is somebody's text, and stays in the history."""
        await asyncio.sleep(0)
        await self._refused_signals.record("unknown", "There is no signal of this name.")

    @described_update(Approve)
    async def approve(self, decision: Approve) -> BookingView:
        return await self._handle_update(decision)

    @described_update(Reject)
    async def reject(self, decision: Reject) -> BookingView:
        return await self._handle_update(decision)

    @described_update(Complete)
    async def complete(self, decision: Complete) -> BookingView:
        return await self._handle_update(decision)

    @described_update(Confirm)
    async def confirm(self, decision: Confirm) -> BookingView:
        return await self._handle_update(decision)

    @described_update(Object)
    async def object(self, decision: Object) -> BookingView:
        return await self._handle_update(decision)

    @described_update(ReportNoShow)
    async def report_no_show(self, decision: ReportNoShow) -> BookingView:
        return await self._handle_update(decision)

    @described_update(ContestNoShow)
    async def contest_no_show(self, decision: ContestNoShow) -> BookingView:
        return await self._handle_update(decision)

    @described_update(Cancel)
    async def cancel(self, decision: Cancel) -> BookingView:
        return await self._handle_update(decision)

    @described_update(Settle)
    async def settle(self, decision: Settle) -> BookingView:
        return await self._handle_update(decision)

    @described_update(Release)
    async def release(self, decision: Release) -> BookingView:
        return await self._handle_update(decision)

    @described_update(SettleAndRefund)
    async def refund(self, decision: SettleAndRefund) -> BookingView:
        return await self._handle_update(decision)

    @described_update(Extend)
    async def extend(self, decision: Extend) -> BookingView:
        return await self._handle_update(decision)

    @described_update(Reschedule)
    async def reschedule(self, decision: Reschedule) -> BookingView:
        return await self._handle_update(decision)

    @described_update(Retry)
    async def retry(self, decision: Retry) -> BookingView:
        return await self._handle_update(decision)

    @approve.validator
    def _check_approve(self, decision: Approve) -> None:
        self._validate(decision)

    @reject.validator
    def _check_reject(self, decision: Reject) -> None:
        self._validate(decision)

    @complete.validator
    def _check_complete(self, decision: Complete) -> None:
        self._validate(decision)

    @confirm.validator
    def _check_confirm(self, decision: Confirm) -> None:
        self._validate(decision)

    @object.validator
    def _check_object(self, decision: Object) -> None:
        self._validate(decision)

    @report_no_show.validator
    def _check_report_no_show(self, decision: ReportNoShow) -> None:
        self._validate(decision)

    @contest_no_show.validator
    def _check_contest_no_show(self, decision: ContestNoShow) -> None:
        self._validate(decision)

    @cancel.validator
    def _check_cancel(self, decision: Cancel) -> None:
        self._validate(decision)

    @settle.validator
    def _check_settle(self, decision: Settle) -> None:
        self._validate(decision)

    @release.validator
    def _check_release(self, decision: Release) -> None:
        self._validate(decision)

    @refund.validator
    def _check_refund(self, decision: SettleAndRefund) -> None:
        self._validate(decision)

    @extend.validator
    def _check_extend(self, decision: Extend) -> None:
        self._validate(decision)

    @reschedule.validator
    def _check_reschedule(self, decision: Reschedule) -> None:
        self._validate(decision)

    @retry.validator
    def _check_retry(self, decision: Retry) -> None:
        self._validate(decision)


def _update_id() -> str | None:
    """`None` in a signal. A reset plays an update again with the id that it had."""
    update = workflow.current_update_info()
    return update.id if update else None
