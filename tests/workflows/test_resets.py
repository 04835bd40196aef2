"""Refunds, disputes, payouts and accounts whose workflow is reset or terminated: no money moves a second time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.api.enums.v1 import ResetReapplyType
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.stripe.balances import StripeBalances
from activities.stripe.client import stripe_client
from activities.stripe.payments import StripeGateway
from activities.stripe.payouts import StripePayouts
from activities.stripe.refunds import StripeRefunds
from models.domain.policy import PaymentPlan
from tests.conftest import StripeSandbox
from tests.own_stripe import own_sandbox
from tests.workflows.faults import Faults, FaultyDisputes, FaultyGateway, When
from tests.workflows.resets import LiveEnvironment, everything, reset, result_of, tasks_of
from tests.workflows.saga import QUEUE, Saga, Workers
from tests.workflows.stories import OUTCOMES, Play, disputes, onboarding, payouts, refunds
from worker import build_worker
from workflows.client.executions import WorkflowExecutions

HOLD, CHARGE = PaymentPlan
ALL, NONE = ResetReapplyType.RESET_REAPPLY_TYPE_ALL_ELIGIBLE, ResetReapplyType.RESET_REAPPLY_TYPE_NONE


@pytest.fixture
async def stripe_sandbox() -> AsyncIterator[StripeSandbox]:
    async with own_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def saga(
    engine: AsyncEngine, stripe_sandbox: StripeSandbox, temporal_address: str, plan: PaymentPlan
) -> AsyncIterator[Saga]:
    client = await Client.connect(temporal_address, data_converter=pydantic_data_converter)
    faults = Faults()
    async with stripe_client(stripe_sandbox.key, stripe_sandbox.url) as stripe:
        gateway = FaultyGateway(StripeGateway(stripe, "http://127.0.0.1:1"), faults)
        parts = (FaultyDisputes(stripe, faults), StripePayouts(stripe), StripeRefunds(stripe), StripeBalances(stripe))
        workers = Workers(lambda: build_worker(client, QUEUE, engine, gateway, *parts, interceptors=[faults]))
        await workers.start()
        try:
            yield Saga(LiveEnvironment(client), engine, stripe, faults, workers, stripe_sandbox.url, plan=plan)
        finally:
            async for left in client.list_workflows(f"TaskQueue = '{QUEUE}' AND ExecutionStatus = 'Running'"):
                with suppress(Exception):
                    await client.get_workflow_handle(left.id).terminate()
            await workers.stop()


STORIES: list[Play] = [
    refunds.refunded,
    refunds.refund_refused,
    refunds.refund_arrived_later,
    refunds.refund_failed_twice,
    refunds.refunded_in_the_dashboard,
    disputes.dispute_won,
    disputes.dispute_lost,
    disputes.dispute_accepted,
    disputes.dispute_answer_refused,
    disputes.dispute_lost_for_the_platform,
    payouts.payout_arrived,
    payouts.payout_returned_and_sent_again,
    onboarding.account_created,
    onboarding.account_checked,
]


REVERSED: list[Play] = [refunds.refunded, refunds.refund_failed_twice, disputes.dispute_lost]
"""Of a charge, the share is transferred and reversed otherwise. The rest of the stories is the same."""


@pytest.mark.parametrize(
    "reapply", [pytest.param(ALL, marks=pytest.mark.on_demand), NONE], ids=["with_messages", "without_messages"]
)
@pytest.mark.parametrize(
    ("plan", "play"), [*((HOLD, play) for play in STORIES), *((CHARGE, play) for play in REVERSED)]
)
async def test_reset_to_any_task_moves_no_money_and_ends_the_same(
    saga: Saga, play: Play, reapply: ResetReapplyType.ValueType
) -> None:
    story = await play(saga)
    before = await everything(saga)
    walked = 0
    for run_id in story.run_ids:
        for task in await tasks_of(saga, story.id, run_id):
            again = await reset(saga, story.id, run_id, task, reapply)
            try:
                async with asyncio.timeout(0.5 if reapply is NONE else 5):
                    result = await result_of(saga, story.id, again)
            except TimeoutError:
                # It waits for a message that was left out, and would look on its own in some days.
                await story.notify()
                result = await result_of(saga, story.id, again)
            # An earlier run may end as it did then. What came after it is in the records.
            assert result == story.result or run_id != story.run_ids[-1]
            assert await everything(saga) == before, (run_id, task)
            walked += 1
    assert walked >= 2 * len(story.run_ids)


async def ended_at(saga: Saga, when: When, activity_type: str) -> None:
    """Plan that the workflow is terminated around this activity, and started again as the reconciliation does."""

    async def end() -> None:
        id = activity.info().workflow_id
        assert id is not None
        await saga.env.client.get_workflow_handle(id).terminate("by a test")
        assert await WorkflowExecutions(saga.env.client, saga.queue).restart(id)

    saga.faults.plan(when, activity_type, end)


TERMINATED: list[tuple[Play, str]] = [
    (refunds.refunded, "reserve_refund"),
    (refunds.refunded, "create_refund"),
    (refunds.refunded, "record_refund"),
    (refunds.refund_arrived_later, "look_up_refund"),
    (refunds.refund_refused, "record_refused_refund"),
    (refunds.refund_failed_twice, "record_refund_retry"),
    (refunds.refunded_in_the_dashboard, "adopt_refund"),
    (disputes.dispute_won, "look_up_dispute"),
    (disputes.dispute_won, "record_dispute"),
    (disputes.dispute_won, "record_dispute_decision"),
    (disputes.dispute_won, "submit_dispute_evidence"),
    (disputes.dispute_won, "record_dispute_evidence"),
    (disputes.dispute_won, "record_dispute_end"),
    (disputes.dispute_answer_refused, "record_refused_dispute_evidence"),
    (disputes.dispute_accepted, "accept_dispute"),
    (disputes.dispute_lost, "reverse_disputed_transfer"),
    (payouts.payout_arrived, "look_up_payout"),
    (payouts.payout_arrived, "record_payout"),
    (onboarding.account_created, "ensure_account"),
    (onboarding.account_created, "record_account"),
    (onboarding.account_created, "open_onboarding_link"),
    (onboarding.account_created, "look_up_account"),
    (onboarding.account_created, "record_account_state"),
]


_REVERSING = [
    (refunds.refunded, "create_refund"),
    (refunds.refunded, "record_refund"),
    (disputes.dispute_lost, "reverse_disputed_transfer"),
]


@pytest.mark.on_demand
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("plan", "play", "activity_type"),
    [
        *((HOLD, *each) for each in TERMINATED),
        *((CHARGE, *each) for each in _REVERSING),
    ],
)
async def test_terminated_workflow_goes_on_where_it_was(saga: Saga, play: Play, activity_type: str, when: When) -> None:
    await ended_at(saga, when, activity_type)
    story = await play(saga)
    assert saga.faults.all_taken
    assert await story.outcome() == OUTCOMES[play]
