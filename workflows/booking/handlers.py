"""How a booking is spoken to: updates for callers that want an answer, signals for those that do not.

A signal and its update end in one method. An update that the booking's situation does not allow is refused before it
enters the history, with `Refusal.NOT_POSSIBLE_NOW` and a sentence; such a signal is logged and left.
"""

from abc import ABC, abstractmethod

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from models.domain.messages import (
        Approve,
        BookingView,
        Cancel,
        Complete,
        ContestNoShow,
        Decision,
        Extend,
        PaymentEvent,
        Refusal,
        Reject,
        Release,
        ReportNoShow,
        Reschedule,
        Retry,
        Settle,
        SettleAndRefund,
    )


class BookingHandlers(ABC):
    """The messages of a booking; what they lead to is the saga's."""

    @abstractmethod
    def _refusal(self, decision: Decision) -> str | None:
        """Why the decision is not possible now."""

    @abstractmethod
    def _take(self, decision: Decision) -> None:
        """Let an allowed decision have its effect on what the saga waits for."""

    @abstractmethod
    async def _outcome(self, decision: Decision) -> BookingView:
        """The booking once the decision is carried out, or parked for an operator."""

    @abstractmethod
    def _look_at(self, event: PaymentEvent) -> None:
        """Stripe has news."""

    def _check(self, decision: Decision) -> None:
        if reason := self._refusal(decision):
            raise ApplicationError(reason, type=Refusal.NOT_POSSIBLE_NOW)

    async def _answer(self, decision: Decision) -> BookingView:
        # Asked once more: an earlier update of the same workflow task may have changed the situation.
        self._check(decision)
        self._take(decision)
        return await self._outcome(decision)

    def _heed(self, decision: Decision) -> None:
        if reason := self._refusal(decision):
            workflow.logger.warning("signal %s ignored: %s", type(decision).__name__, reason)
        else:
            self._take(decision)

    @workflow.signal
    def payment_event(self, event: PaymentEvent) -> None:
        self._look_at(event)

    @workflow.signal(name="approve")
    def approve_signal(self, decision: Approve) -> None:
        self._heed(decision)

    @workflow.signal(name="reject")
    def reject_signal(self, decision: Reject) -> None:
        self._heed(decision)

    @workflow.signal(name="complete")
    def complete_signal(self, decision: Complete) -> None:
        self._heed(decision)

    @workflow.signal(name="report_no_show")
    def report_no_show_signal(self, decision: ReportNoShow) -> None:
        self._heed(decision)

    @workflow.signal(name="cancel")
    def cancel_signal(self, decision: Cancel) -> None:
        self._heed(decision)

    @workflow.update
    async def approve(self, decision: Approve) -> BookingView:
        return await self._answer(decision)

    @workflow.update
    async def reject(self, decision: Reject) -> BookingView:
        return await self._answer(decision)

    @workflow.update
    async def complete(self, decision: Complete) -> BookingView:
        return await self._answer(decision)

    @workflow.update
    async def report_no_show(self, decision: ReportNoShow) -> BookingView:
        return await self._answer(decision)

    @workflow.update
    async def contest_no_show(self, decision: ContestNoShow) -> BookingView:
        return await self._answer(decision)

    @workflow.update
    async def cancel(self, decision: Cancel) -> BookingView:
        return await self._answer(decision)

    @workflow.update
    async def settle(self, decision: Settle) -> BookingView:
        return await self._answer(decision)

    @workflow.update
    async def release(self, decision: Release) -> BookingView:
        return await self._answer(decision)

    @workflow.update
    async def refund(self, decision: SettleAndRefund) -> BookingView:
        return await self._answer(decision)

    @workflow.update
    async def extend(self, decision: Extend) -> BookingView:
        return await self._answer(decision)

    @workflow.update
    async def reschedule(self, decision: Reschedule) -> BookingView:
        return await self._answer(decision)

    @workflow.update
    async def retry(self, decision: Retry) -> BookingView:
        return await self._answer(decision)

    @approve.validator
    def _may_approve(self, decision: Approve) -> None:
        self._check(decision)

    @reject.validator
    def _may_reject(self, decision: Reject) -> None:
        self._check(decision)

    @complete.validator
    def _may_complete(self, decision: Complete) -> None:
        self._check(decision)

    @report_no_show.validator
    def _may_report_no_show(self, decision: ReportNoShow) -> None:
        self._check(decision)

    @contest_no_show.validator
    def _may_contest_no_show(self, decision: ContestNoShow) -> None:
        self._check(decision)

    @cancel.validator
    def _may_cancel(self, decision: Cancel) -> None:
        self._check(decision)

    @settle.validator
    def _may_settle(self, decision: Settle) -> None:
        self._check(decision)

    @release.validator
    def _may_release(self, decision: Release) -> None:
        self._check(decision)

    @refund.validator
    def _may_refund(self, decision: SettleAndRefund) -> None:
        self._check(decision)

    @extend.validator
    def _may_extend(self, decision: Extend) -> None:
        self._check(decision)

    @reschedule.validator
    def _may_reschedule(self, decision: Reschedule) -> None:
        self._check(decision)

    @retry.validator
    def _may_retry(self, decision: Retry) -> None:
        self._check(decision)
