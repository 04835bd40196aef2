"""A refund after a booking's end: reserved, made by Stripe, and followed until it has arrived.

    requested ── reserved ── pending ── succeeded
                     │           └───┬──────┘
                  refused          failed ── tried again by an operator

One that somebody has made in Stripe's dashboard is adopted, and followed in the same way.

Stripe's events are only a reason to look; without any it looks once a day. It ends where nothing more is to be
expected; an event that comes later, or an operator who has a failed refund tried again, starts it anew.
"""

import asyncio
import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.refunds import RefundActivities
    from models.domain.refunds import (
        ORDERED,
        AdoptRefund,
        RecordRefund,
        RecordRefundOrder,
        RecordRefundRetry,
        RecordRefusedRefund,
        RefundAnswer,
        RefundAtStripe,
        RefundEvent,
        RefundOrder,
        RefundRefusal,
        RefundSnapshot,
        RefundView,
        RetryRefund,
    )
    from models.domain.states import RefundStatus
    from workflows.activity_calls import call_stripe_until_answered, persist

_A_LOOK = timedelta(days=1)


@workflow.defn(name="Refund")
class RefundWorkflow:
    @workflow.init
    def __init__(self, order: RefundOrder) -> None:
        self._order = order
        self._case: RefundSnapshot | None = None
        self._news = False
        self._retry: RetryRefund | None = None
        self._is_known = False
        """What has become of the order, or of the latest try, is written down."""

    @workflow.run
    async def run(self, order: RefundOrder) -> RefundStatus | None:
        """`None`: nobody ordered such a refund."""
        self._case = await self._begun(order)
        while self._case is not None:
            self._news = False
            self._case = await self._carried_on(self._case)
            self._is_known = self._retry is None
            if self._is_known and not await self._more_is_to_come(self._case):
                return self._case.status
        self._is_known = True
        await workflow.wait_condition(workflow.all_handlers_finished)
        return None

    @workflow.signal
    def refund_event(self, event: RefundEvent) -> None:
        self._news = True

    @workflow.update(name=ORDERED)
    async def ordered(self) -> RefundView:
        """How it stands once Stripe has answered, or it is refused; a refund is started with this update."""
        return await self._outcome()

    @workflow.update
    async def try_again(self, retry: RetryRefund) -> RefundView:
        """For a refund that failed."""
        await workflow.wait_condition(lambda: self._is_known or self._case is not None)
        if self._case is None or self._case.status is not RefundStatus.FAILED:
            raise ApplicationError("No refund of this booking has failed.", type=RefundRefusal.NOT_FAILED)
        self._retry, self._is_known = retry, False
        return await self._outcome()

    async def _outcome(self) -> RefundView:
        await workflow.wait_condition(lambda: self._is_known)
        if self._case is None:
            raise ApplicationError("There is no such refund.", type=RefundRefusal.NOT_FAILED)
        return RefundView(status=self._case.status, refusal=self._case.refusal)

    async def _begun(self, order: RefundOrder) -> RefundSnapshot | None:
        if order.stripe_refund_id is None:
            reserve = RecordRefundOrder(refund_id=order.refund_id, at=workflow.now())
            return await persist(RefundActivities.reserve_refund, reserve)
        adopt = AdoptRefund(refund_id=order.refund_id, stripe_refund_id=order.stripe_refund_id, at=workflow.now())
        return await call_stripe_until_answered(RefundActivities.adopt_refund, adopt)

    async def _carried_on(self, case: RefundSnapshot) -> RefundSnapshot:
        if self._retry is not None and case.status is RefundStatus.FAILED:
            retry = RecordRefundRetry(case=case, actor=self._retry.actor, at=workflow.now())
            self._retry = None
            return await self._made(await persist(RefundActivities.record_refund_retry, retry))
        if case.status is RefundStatus.RESERVED and case.stripe_refund_id is None:
            return await self._made(case)
        if case.stripe_refund_id is None:
            return case
        refund = await call_stripe_until_answered(RefundActivities.look_up_refund, case.stripe_refund_id)
        return await self._written(case, refund)

    async def _made(self, case: RefundSnapshot) -> RefundSnapshot:
        answer: RefundAnswer = await call_stripe_until_answered(RefundActivities.create_refund, case)
        if answer.refund is not None:
            return await self._written(case, answer.refund)
        refused = RecordRefusedRefund(case=case, refused=answer.refused or "", at=workflow.now())
        return await persist(RefundActivities.record_refused_refund, refused)

    async def _written(self, case: RefundSnapshot, refund: RefundAtStripe) -> RefundSnapshot:
        if (refund.status, refund.stripe_refund_id) == (case.status, case.stripe_refund_id):
            return case
        record = RecordRefund(case=case, refund=refund, at=workflow.now())
        return await persist(RefundActivities.record_refund, record)

    async def _more_is_to_come(self, case: RefundSnapshot) -> bool:
        """Wait for news of a refund that is under way; False when it has come to its end."""
        if case.status is RefundStatus.PENDING:
            with contextlib.suppress(asyncio.TimeoutError):
                await workflow.wait_condition(
                    lambda: self._news, timeout=_A_LOOK, timeout_summary="waits for the student's bank"
                )
            return True

        def heard() -> bool:
            return self._news or self._retry is not None

        await workflow.wait_condition(lambda: heard() or workflow.all_handlers_finished())
        return heard()
