"""An instructor's onboarding: an account at Stripe, links to its onboarding page, and its state kept in sync.

It runs only while there is something to do: a link was requested, or an event says that the account has changed. The
next message starts it again, so nothing waits for years. No run ends before a look-up that is later than its last
event.
"""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.onboarding import OnboardingActivities
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
    from workflows.activity_calls import call_stripe, call_stripe_until_answered, is_declined, persist
    from workflows.attention import Attention
    from workflows.descriptions import describe

_LINK_BUDGET = timedelta(seconds=30)
"""How long a link is tried for: the instructor is waiting for it."""

_PATIENCE = timedelta(seconds=2)
"""How long a run waits for the message that it was started for."""


@workflow.defn(name="Onboarding")
class OnboardingWorkflow:
    @workflow.init
    def __init__(self, order: Onboarding) -> None:
        self._order = order
        self._attention = Attention()
        self._one_link_at_a_time = asyncio.Lock()
        self._link_requested = False
        self._event_pending = False

    @workflow.run
    async def run(self, order: Onboarding) -> None:
        await self._wait_for_message()
        while True:
            await workflow.wait_condition(lambda: self._event_pending or workflow.all_handlers_finished())
            if not self._event_pending:
                return
            await self._sync()

    @workflow.update(name=OPEN_LINK, description="Creates a link to Stripe's onboarding form. Needs no input.")
    async def open_link(self) -> None:
        """Put a new link on the instructor's row. Before the first one, create the account."""
        self._link_requested = True
        async with self._one_link_at_a_time:
            await self._translate_errors(self._create_link())

    @workflow.signal(description=describe(AccountEvent))
    def account_event(self, event: AccountEvent | None = None) -> None:
        self._event_pending = True

    async def _wait_for_message(self) -> None:
        """Without one, after a reset that left the messages out, the account is looked up for good measure."""

        def has_one() -> bool:
            return self._link_requested or self._event_pending

        if not has_one():
            try:
                await workflow.wait_condition(has_one, timeout=_PATIENCE)
            except TimeoutError:
                self._event_pending = True

    async def _create_link(self) -> None:
        until = workflow.now() + _LINK_BUDGET
        account_id = await call_stripe(OnboardingActivities.ensure_account, self._order, until)
        # Recorded before anything else: an account that is not recorded would be created again.
        await persist(
            OnboardingActivities.record_account,
            RecordAccount(instructor_id=self._order.instructor_id, account_id=account_id),
        )
        self._event_pending = True
        await call_stripe(OnboardingActivities.open_onboarding_link, self._link_order(account_id), until)

    def _link_order(self, account_id: str) -> LinkOrder:
        """The caller chooses the update's id: the same request, sent twice, gets the same link."""
        update = workflow.current_update_info()
        assert update is not None
        return LinkOrder(account_id=account_id, key=link_key(self._order.instructor_id, update.id))

    async def _translate_errors(self, call: Awaitable[None]) -> None:
        try:
            await call
        except FailureError as failure:
            if is_cancelled_exception(failure):
                raise
            if isinstance(failure, ActivityError) and is_declined(failure):
                raise ApplicationError("Stripe refused it.", type=OnboardingRefusal.REFUSED) from failure
            raise ApplicationError("Stripe did not answer.", type=OnboardingRefusal.NO_ANSWER) from failure

    async def _sync(self) -> None:
        self._event_pending = False
        try:
            state = await call_stripe_until_answered(OnboardingActivities.look_up_account, self._order)
        except ActivityError as failure:
            if not is_declined(failure):
                raise
            workflow.logger.warning("Stripe does not know the account of instructor %s", self._order.instructor_id)
            return
        if state is None:
            return
        record = RecordAccountState(instructor_id=self._order.instructor_id, state=state, at=workflow.now())
        await self._attention.persist_until_recorded(OnboardingActivities.record_account_state, record)
