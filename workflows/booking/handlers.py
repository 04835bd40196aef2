"""Update and signal handlers of the Booking workflow.

Updates are for callers that want an answer, signals for those that do not. An update that the booking's situation
does not allow is refused before it enters the history, with `Refusal.NOT_POSSIBLE_NOW` and a sentence; such a signal
is logged and ignored.
"""

from temporalio import workflow
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
    from workflows.booking import decisions
    from workflows.booking.outcomes import Outcomes
    from workflows.booking.progress import Progress
    from workflows.booking.state import BookingState


_OVERTAKEN = "Another decision, or the deadline, came first."
_CARRIED_OUT = "This decision was carried out before the workflow was reset."


class BookingHandlers:
    """A signal and its update end in the same method, `decisions.apply`."""

    rules: decisions.Rules = decisions

    def __init__(self, order: ReserveSlot) -> None:
        self._state = BookingState.of(order)
        self._progress = Progress(self._state)
        self._outcomes = Outcomes(self._state, self._progress)

    def _check(self, decision: Decision) -> None:
        if not self._is_current(decision):
            return  # Checked once it is.
        if _update_id() in self._state.carried_out:
            raise ApplicationError(_CARRIED_OUT, type=Refusal.NOT_POSSIBLE_NOW)
        if reason := self.rules.refusal(self._state, decision, workflow.now()):
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
            self.rules.apply(state, decision, at)
            state.decided_in = _update_id()
            await self._outcomes.wait_for(decision, deadline)
            if state.resumed == resumed or decisions.took_effect(state, decision):
                break
        if not state.is_parked and not decisions.took_effect(state, decision):
            raise ApplicationError(_OVERTAKEN, type=Refusal.NOT_POSSIBLE_NOW)
        return state.view

    async def _handle_signal(self, decision: Decision) -> None:
        try:
            await self._handle_update(decision)
        except ApplicationError as refusal:
            workflow.logger.warning("signal %s ignored: %s", type(decision).__name__, refusal)

    def _is_current(self, decision: Decision) -> bool:
        """Not before the slot is reserved, nor after a reset until the booking goes on from its records.

        Nor, for an approval, while the payment is being authorized: if a worker dies then, people have read that it is.
        """
        state = self._state
        if isinstance(decision, Approve | Reject) and state.is_authorizing and not state.is_parked:
            return False
        return state.is_closed or (not self._progress.was_reset and (state.is_reserved or state.is_parked))

    @workflow.signal
    def payment_event(self, event: PaymentEvent) -> None:
        self._state.on_payment_event(event)

    @workflow.signal(name="approve")
    async def approve_signal(self, decision: Approve) -> None:
        await self._handle_signal(decision)

    @workflow.signal(name="reject")
    async def reject_signal(self, decision: Reject) -> None:
        await self._handle_signal(decision)

    @workflow.signal(name="complete")
    async def complete_signal(self, decision: Complete) -> None:
        await self._handle_signal(decision)

    @workflow.signal(name="report_no_show")
    async def report_no_show_signal(self, decision: ReportNoShow) -> None:
        await self._handle_signal(decision)

    @workflow.signal(name="cancel")
    async def cancel_signal(self, decision: Cancel) -> None:
        await self._handle_signal(decision)

    @workflow.update
    async def approve(self, decision: Approve) -> BookingView:
        return await self._handle_update(decision)

    @workflow.update
    async def reject(self, decision: Reject) -> BookingView:
        return await self._handle_update(decision)

    @workflow.update
    async def complete(self, decision: Complete) -> BookingView:
        return await self._handle_update(decision)

    @workflow.update
    async def confirm(self, decision: Confirm) -> BookingView:
        return await self._handle_update(decision)

    @workflow.update
    async def object(self, decision: Object) -> BookingView:
        return await self._handle_update(decision)

    @workflow.update
    async def report_no_show(self, decision: ReportNoShow) -> BookingView:
        return await self._handle_update(decision)

    @workflow.update
    async def contest_no_show(self, decision: ContestNoShow) -> BookingView:
        return await self._handle_update(decision)

    @workflow.update
    async def cancel(self, decision: Cancel) -> BookingView:
        return await self._handle_update(decision)

    @workflow.update
    async def settle(self, decision: Settle) -> BookingView:
        return await self._handle_update(decision)

    @workflow.update
    async def release(self, decision: Release) -> BookingView:
        return await self._handle_update(decision)

    @workflow.update
    async def refund(self, decision: SettleAndRefund) -> BookingView:
        return await self._handle_update(decision)

    @workflow.update
    async def extend(self, decision: Extend) -> BookingView:
        return await self._handle_update(decision)

    @workflow.update
    async def reschedule(self, decision: Reschedule) -> BookingView:
        return await self._handle_update(decision)

    @workflow.update
    async def retry(self, decision: Retry) -> BookingView:
        return await self._handle_update(decision)

    @approve.validator
    def _check_approve(self, decision: Approve) -> None:
        self._check(decision)

    @reject.validator
    def _check_reject(self, decision: Reject) -> None:
        self._check(decision)

    @complete.validator
    def _check_complete(self, decision: Complete) -> None:
        self._check(decision)

    @confirm.validator
    def _check_confirm(self, decision: Confirm) -> None:
        self._check(decision)

    @object.validator
    def _check_object(self, decision: Object) -> None:
        self._check(decision)

    @report_no_show.validator
    def _check_report_no_show(self, decision: ReportNoShow) -> None:
        self._check(decision)

    @contest_no_show.validator
    def _check_contest_no_show(self, decision: ContestNoShow) -> None:
        self._check(decision)

    @cancel.validator
    def _check_cancel(self, decision: Cancel) -> None:
        self._check(decision)

    @settle.validator
    def _check_settle(self, decision: Settle) -> None:
        self._check(decision)

    @release.validator
    def _check_release(self, decision: Release) -> None:
        self._check(decision)

    @refund.validator
    def _check_refund(self, decision: SettleAndRefund) -> None:
        self._check(decision)

    @extend.validator
    def _check_extend(self, decision: Extend) -> None:
        self._check(decision)

    @reschedule.validator
    def _check_reschedule(self, decision: Reschedule) -> None:
        self._check(decision)

    @retry.validator
    def _check_retry(self, decision: Retry) -> None:
        self._check(decision)


def _update_id() -> str | None:
    """`None` in a signal. A reset plays an update again with the id that it had."""
    update = workflow.current_update_info()
    return update.id if update else None
