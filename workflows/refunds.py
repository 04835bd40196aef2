"""A refund after a booking's end: reserved, created at Stripe, and followed until it has arrived.

    requested ── reserved ── pending ── succeeded
                     │           └───┬──────┘
                  refused          failed ── tried again by an operator

A refund that somebody made in Stripe's dashboard is adopted, and followed in the same way. An early fraud warning
starts the workflow of the refund that it may lead to.

Stripe's events are only a reason to look it up. Without one it is looked up once a day. The workflow ends once no
more is expected; a later event, or an operator who has a failed refund retried, starts it again.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from activities.fraud_warnings import FraudWarningActivities
    from activities.refunds import RefundActivities
    from models.domain.actors import PLATFORM
    from models.domain.decisions import OPERATORS_ONLY, is_operator
    from models.domain.fraud_warnings import CancelBooking, FraudWarningOutcome, TakeFraudWarning
    from models.domain.ids import workflow_id
    from models.domain.messages import Cancel, Channel, Refusal
    from models.domain.refunds import (
        ORDERED,
        WAITS_FOR_BALANCE,
        AdoptRefund,
        RecordRefund,
        RecordRefundOrder,
        RecordRefundRetry,
        RecordRefusedRefund,
        RefundAtStripe,
        RefundEvent,
        RefundOrder,
        RefundRefusal,
        RefundResult,
        RefundSnapshot,
        RefundView,
        RetryRefund,
    )
    from models.domain.states import RefundStatus
    from workflows.activity_calls import call_stripe_until_answered, is_declined, reason_of
    from workflows.attention import Attention
    from workflows.descriptions import describe, described_update

T = TypeVar("T")
A = TypeVar("A")

_LOOK_UP_INTERVAL = timedelta(days=1)


@workflow.defn(name="Refund")
class RefundWorkflow:
    @workflow.init
    def __init__(self, order: RefundOrder) -> None:
        self._attention = Attention()
        self._refund: RefundSnapshot | None = None
        self._event_pending = False
        self._retry: RecordRefundRetry | None = None
        self._is_answered = False
        """The outcome of the order, or of its latest retry, is recorded."""
        self._is_lost = False
        """Stripe does not know the refund any more."""

    @workflow.run
    async def run(self, order: RefundOrder) -> RefundStatus | None:
        """`None`: nobody ordered such a refund, the warning leads to none, or Stripe does not know it."""
        self._refund = await self._start(order)
        while self._refund is not None:
            self._show(self._refund)
            self._event_pending = False
            self._refund = await self._advance(self._refund)
            self._show(self._refund)
            self._is_answered = self._retry is None
            if self._is_answered and not await self._has_more_to_do(self._refund):
                return self._refund.status
        self._is_answered = True
        await workflow.wait_condition(workflow.all_handlers_finished)
        return None

    @workflow.signal(description=describe(RefundEvent))
    def refund_event(self, event: RefundEvent | None = None) -> None:
        self._event_pending = True

    @workflow.update(name=ORDERED, description="Waits for the outcome of the order. Needs no input.")
    async def ordered(self) -> RefundView:
        """The refund once Stripe has answered or it is refused. A refund is started with this update."""
        return await self._wait_for_outcome()

    @described_update(RetryRefund)
    async def try_again(self, retry: RetryRefund) -> RefundView:
        """For a refund that failed."""
        await workflow.wait_condition(lambda: self._is_answered or self._refund is not None)
        if self._refund is None or self._refund.status is not RefundStatus.FAILED:
            raise ApplicationError("No refund of this booking has failed.", type=RefundRefusal.NOT_FAILED)
        update = workflow.current_update_info()
        assert update is not None
        self._retry = RecordRefundRetry(case=self._refund, actor=retry.actor, at=workflow.now(), order_id=update.id)
        self._is_answered = False
        return await self._wait_for_outcome()

    @try_again.validator
    def _may_try_again(self, retry: RetryRefund) -> None:
        if not is_operator(retry.actor):
            raise ApplicationError(OPERATORS_ONLY, type=Refusal.NOT_POSSIBLE_NOW)

    async def _wait_for_outcome(self) -> RefundView:
        await workflow.wait_condition(lambda: self._is_answered)
        if self._refund is None:
            raise ApplicationError("There is no such refund.", type=RefundRefusal.NOT_FAILED)
        return RefundView(status=self._refund.status, refusal=self._refund.refusal)

    def _show(self, refund: RefundSnapshot) -> None:
        self._attention.concerns(refund.parties.booking_id, f"{refund.amount.format()}, {refund.status}")

    async def _persist(self, activity: Callable[[Any, A], Awaitable[T]], record: A) -> T:
        return await self._attention.persist_until_recorded(activity, record)

    async def _start(self, order: RefundOrder) -> RefundSnapshot | None:
        if order.fraud_warning_id is not None and not await self._leads_to_refund(order, order.fraud_warning_id):
            return None
        if order.stripe_refund_id is None:
            reserve = RecordRefundOrder(refund_id=order.refund_id, at=workflow.now())
            return await self._persist(RefundActivities.reserve_refund, reserve)
        adopt = AdoptRefund(refund_id=order.refund_id, stripe_refund_id=order.stripe_refund_id, at=workflow.now())
        try:
            return await call_stripe_until_answered(RefundActivities.adopt_refund, adopt)
        except ActivityError as failure:
            if not is_declined(failure):
                raise
            workflow.logger.warning("Stripe does not know refund %s", order.stripe_refund_id)
            return None

    async def _leads_to_refund(self, order: RefundOrder, warning_id: str) -> bool:
        """Take the warning, and wait while its payment is only held: it is refunded once it is captured.

        Or the booking is cancelled, so that its charge is refunded now.
        """
        while True:
            self._event_pending = False
            take = TakeFraudWarning(warning_id=warning_id, refund_id=order.refund_id, at=workflow.now())
            try:
                outcome = await call_stripe_until_answered(FraudWarningActivities.take_fraud_warning, take)
            except ActivityError as failure:
                if not is_declined(failure):
                    raise
                workflow.logger.warning("Stripe does not know the early fraud warning %s", warning_id)
                return False
            if isinstance(outcome, CancelBooking):
                await _cancel(outcome.booking_id)
            elif outcome is not FraudWarningOutcome.LATER:
                return outcome is FraudWarningOutcome.REFUND
            await self._wait_for_event("waits for the booking's end")

    async def _advance(self, case: RefundSnapshot) -> RefundSnapshot:
        retry, self._retry = self._retry, None
        if retry is not None and case.status is RefundStatus.FAILED and not case.is_retrying:
            case = await self._attention.persist_until_recorded(
                RefundActivities.record_refund_retry, retry.model_copy(update={"case": case}), is_decision=True
            )
            if not case.is_retrying:
                return case
        if case.is_retrying or (case.status is RefundStatus.RESERVED and case.stripe_refund_id is None):
            return await self._create(case)
        if case.stripe_refund_id is None:
            return case
        try:
            refund = await call_stripe_until_answered(RefundActivities.look_up_refund, case.stripe_refund_id)
        except ActivityError as failure:
            if not is_declined(failure):
                raise
            self._is_lost = True
            return await self._record_refusal(case, reason_of(failure))
        return await self._record(case, refund)

    async def _create(self, case: RefundSnapshot) -> RefundSnapshot:
        answer: RefundResult = await call_stripe_until_answered(RefundActivities.create_refund, case)
        if answer.refund is not None:
            return await self._record(case, answer.refund)
        return await self._record_refusal(case, answer.refused or "")

    async def _record_refusal(self, case: RefundSnapshot, refused: str) -> RefundSnapshot:
        record = RecordRefusedRefund(case=case, refused=refused, at=workflow.now())
        return await self._persist(RefundActivities.record_refused_refund, record)

    async def _record(self, case: RefundSnapshot, refund: RefundAtStripe) -> RefundSnapshot:
        known = (case.status, case.stripe_refund_id, case.pending_reason)
        if not case.is_retrying and (refund.status, refund.stripe_refund_id, refund.pending_reason) == known:
            return case
        record = RecordRefund(case=case, refund=refund, at=workflow.now())
        return await self._persist(RefundActivities.record_refund, record)

    async def _has_more_to_do(self, case: RefundSnapshot) -> bool:
        """Wait for the next reason to look a pending refund up, or to retry a failed one; False if there is none."""
        if case.status is RefundStatus.PENDING and not self._is_lost:
            await self._wait_for_event(
                "waits for funds" if case.pending_reason == WAITS_FOR_BALANCE else "waits for the student's bank"
            )
            return True

        def has_reason() -> bool:
            return self._event_pending or self._retry is not None

        await workflow.wait_condition(lambda: has_reason() or workflow.all_handlers_finished())
        return has_reason()

    async def _wait_for_event(self, summary: str) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await workflow.wait_condition(
                lambda: self._event_pending, timeout=_LOOK_UP_INTERVAL, timeout_summary=summary
            )


async def _cancel(booking_id: UUID) -> None:
    """A booking whose situation does not allow it ignores the signal. One without a workflow is an orphan."""
    booking = workflow.get_external_workflow_handle(workflow_id(booking_id))
    try:
        await booking.signal("cancel", Cancel(actor=PLATFORM, channel=Channel.STRIPE, is_fraudulent=True))
    except FailureError as failure:
        workflow.logger.warning("booking %s cannot be cancelled: %s", booking_id, failure)
