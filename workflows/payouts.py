"""A payout from its making to the bank: which bookings it pays, and whether it arrived or came back.

    made ── on its way ── arrived at the bank ── (days later, sent back after all)
                     └── failed: the money is on the balance again, and in a later payout

Stripe's events are only a reason to look; without any it looks once a day, so that a lost event costs time alone. What
a bank sends back after it had arrived is an event after the end, which starts a run of its own.
"""

import asyncio
import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.payouts import PayoutActivities
    from models.domain.payouts import PayoutEvent, PayoutOrder, PayoutPhase, PayoutState, RecordPayout
    from workflows.activity_calls import call_stripe, persist

_A_LOOK = timedelta(days=1)
_ASKING = timedelta(days=3)
"""How long Stripe is asked before it is asked anew."""


@workflow.defn(name="Payout")
class PayoutWorkflow:
    @workflow.init
    def __init__(self, order: PayoutOrder) -> None:
        self._order = order
        self._news = False

    @workflow.run
    async def run(self, order: PayoutOrder) -> PayoutPhase | None:
        """`None`: the account is no instructor's."""
        while True:
            state = await self._look(order)
            written = await self._written(state) if state.is_itemized else None
            if written is False:
                return None
            if written and state.is_over and not self._news:
                return state.phase
            await self._wait()

    @workflow.signal
    def payout_event(self, event: PayoutEvent) -> None:
        self._news = True

    async def _written(self, state: PayoutState) -> bool | None:
        """Whether it is an instructor's; `None` when it cannot be written down yet, which the next look tries again."""
        try:
            return await self._write(state)
        except ActivityError:
            workflow.logger.warning("a payout cannot be written down; trying again at the next look")
            return None

    async def _write(self, state: PayoutState) -> bool:
        """First that the payouts whose money is in this one came back, should that not have been heard."""
        for payout_id in state.carried:
            earlier = await self._look(PayoutOrder(payout_id=payout_id, account_id=self._order.account_id))
            await self._write(earlier)
        return await persist(PayoutActivities.record_payout, RecordPayout(state=state, at=workflow.now()))

    async def _look(self, order: PayoutOrder) -> PayoutState:
        """Asks Stripe for as long as it takes."""
        if order == self._order:
            self._news = False
        while True:
            try:
                return await call_stripe(PayoutActivities.look_up_payout, order, workflow.now() + _ASKING)
            except ActivityError:
                workflow.logger.warning("Stripe gave no answer to a payout's workflow; asking again")

    async def _wait(self) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await workflow.wait_condition(lambda: self._news, timeout=_A_LOOK, timeout_summary="waits for the bank")
