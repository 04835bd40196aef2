"""An instructor's way to being paid: an account at Stripe, links to its onboarding, and Stripe's view kept in step.

It runs only while there is something to do: asked for a link, or told that the account has changed. The next message
starts it again, so that nothing waits for years. No run ends before a look at Stripe that is later than its news.
"""

import asyncio
from collections.abc import Awaitable
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.onboarding import OnboardingActivities
    from models.domain.errors import Declined
    from models.domain.ids import link_key
    from models.domain.onboarding import (
        OPEN_LINK,
        AccountEvent,
        LinkOrder,
        Onboarding,
        OnboardingRefusal,
        RecordAccount,
        RecordAccountState,
    )
    from workflows.activity_calls import call_stripe, persist

_WHILE_ASKED = timedelta(seconds=30)
"""How long Stripe is asked for a link: the instructor is waiting for it."""
_LOOKING = timedelta(days=3)
"""How long Stripe is asked for an account's state: as long as it would send the event again."""


@workflow.defn(name="Onboarding")
class OnboardingWorkflow:
    @workflow.init
    def __init__(self, order: Onboarding) -> None:
        self._order = order
        self._one_at_a_time = asyncio.Lock()
        self._was_asked = False
        self._news = False

    @workflow.run
    async def run(self, order: Onboarding) -> None:
        await workflow.wait_condition(lambda: self._was_asked or self._news)
        while True:
            await workflow.wait_condition(lambda: self._news or workflow.all_handlers_finished())
            if not self._news:
                return
            await self._keep_in_step()

    @workflow.update(name=OPEN_LINK)
    async def open_link(self) -> None:
        """A new link on the instructor's row; before the first one, the account is made."""
        self._was_asked = True
        async with self._one_at_a_time:
            await self._answered(self._link())

    @workflow.signal
    def account_event(self, event: AccountEvent) -> None:
        self._news = True

    async def _link(self) -> None:
        until = workflow.now() + _WHILE_ASKED
        account_id = await call_stripe(OnboardingActivities.ensure_account, self._order, until)
        # Written down before anything is built on it: an account that nobody knows of would be made again.
        await persist(
            OnboardingActivities.record_account,
            RecordAccount(instructor_id=self._order.instructor_id, account_id=account_id),
        )
        self._news = True
        await call_stripe(OnboardingActivities.open_onboarding_link, self._link_order(account_id), until)

    def _link_order(self, account_id: str) -> LinkOrder:
        """The update's id is the caller's: the same request, sent twice, gets the same link."""
        update = workflow.current_update_info()
        assert update is not None
        return LinkOrder(account_id=account_id, key=link_key(self._order.instructor_id, update.id))

    async def _answered(self, asking: Awaitable[None]) -> None:
        try:
            await asking
        except ActivityError as failure:
            cause = failure.cause
            if isinstance(cause, ApplicationError) and cause.type == Declined.__name__:
                raise ApplicationError("Stripe refused it.", type=OnboardingRefusal.REFUSED) from failure
            raise ApplicationError("Stripe did not answer.", type=OnboardingRefusal.NO_ANSWER) from failure

    async def _keep_in_step(self) -> None:
        self._news = False
        until: datetime = workflow.now() + _LOOKING
        state = await call_stripe(OnboardingActivities.look_up_account, self._order, until)
        if state is None:
            return
        record = RecordAccountState(instructor_id=self._order.instructor_id, state=state, at=workflow.now())
        await persist(OnboardingActivities.record_account_state, record)
