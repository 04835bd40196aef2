"""A payout from its creation to the bank: which bookings it pays, and whether it arrived or was returned.

    created ── in transit ── paid ── (days later: returned by the bank)
                     ├── failed: the money is back on the balance, and in a later payout
                     └── lost: its account was closed meanwhile, so nobody can say whether it arrived

A payout whose lines do not add up to its amount is not recorded: it needs attention until they do.

Stripe's events are only a reason to look it up. Without one it is looked up once a day, so a lost event only costs
time. A payout that the bank returns after it was paid is an event after the end, which starts another run.
"""

import asyncio
import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.payouts import PayoutActivities
    from models.domain.payouts import PayoutEvent, PayoutOrder, PayoutPhase, PayoutState, RecordLostPayout, RecordPayout
    from workflows.activity_calls import call_stripe_until_answered, is_declined, persist
    from workflows.attention import Attention
    from workflows.descriptions import describe

_LOOK_UP_INTERVAL = timedelta(days=1)
_LOST_PAYOUT = "lost-payout"
"""A payout that Stripe does not know any more is recorded as failed."""


@workflow.defn(name="Payout")
class PayoutWorkflow:
    @workflow.init
    def __init__(self, order: PayoutOrder) -> None:
        self._order = order
        self._attention = Attention()
        self._event_pending = False

    @workflow.run
    async def run(self, order: PayoutOrder) -> PayoutPhase | None:
        """`None`: the account is no instructor's, or Stripe does not know the payout."""
        while True:
            state = await self._look_up(order)
            if state is None:
                workflow.logger.warning("Stripe does not know payout %s", order.payout_id)
                if workflow.patched(_LOST_PAYOUT):
                    lost = RecordLostPayout(order=order, at=workflow.now())
                    await self._attention.persist_until_recorded(PayoutActivities.record_lost_payout, lost)
                return None
            recorded = await self._try_to_record(state) if state.is_itemized and await self._adds_up(state) else None
            if recorded is False:
                return None
            if recorded and state.is_over and not self._event_pending:
                return state.phase
            await self._wait()

    @workflow.signal(description=describe(PayoutEvent))
    def payout_event(self, event: PayoutEvent | None = None) -> None:
        self._event_pending = True

    async def _adds_up(self, state: PayoutState) -> bool:
        """Whether its lines do. A reconciliation reports the payout as a drift for as long as they do not."""
        if not state.adds_up:
            await self._attention.show("The payout's lines at Stripe do not add up to its amount.")
        return state.adds_up

    async def _try_to_record(self, state: PayoutState) -> bool | None:
        """Whether it is an instructor's; `None` if it cannot be recorded yet: the next look-up tries again."""
        try:
            recorded = await self._record(state)
        except FailureError as failure:
            if is_cancelled_exception(failure):
                raise
            await self._attention.report(PayoutActivities.record_payout.__name__, failure)
            return None
        await self._attention.resolve()
        return recorded

    async def _record(self, state: PayoutState) -> bool:
        """Record the payouts whose returned money is in this one first, in case their events were lost."""
        for payout_id in state.carried:
            earlier = await self._look_up(PayoutOrder(payout_id=payout_id, account_id=self._order.account_id))
            if earlier is not None and earlier.adds_up:
                await self._record(earlier)
        return await persist(PayoutActivities.record_payout, RecordPayout(state=state, at=workflow.now()))

    async def _look_up(self, order: PayoutOrder) -> PayoutState | None:
        """`None` if Stripe does not know the payout."""
        if order == self._order:
            self._event_pending = False
        try:
            return await call_stripe_until_answered(PayoutActivities.look_up_payout, order)
        except ActivityError as failure:
            if not is_declined(failure):
                raise
            return None

    async def _wait(self) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await workflow.wait_condition(
                lambda: self._event_pending, timeout=_LOOK_UP_INTERVAL, timeout_summary="waits for the bank"
            )
