"""Activities that call Stripe have a task queue of their own: its workers can be others, and its rate is limited."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.stripe.balances import StripeBalances
from activities.stripe.client import stripe_client
from activities.stripe.disputes import StripeDisputes
from activities.stripe.payments import StripeGateway
from activities.stripe.payouts import StripePayouts
from activities.stripe.refunds import StripeRefunds
from models.domain.ids import stripe_task_queue
from models.domain.payouts import PayoutOrder
from tests.conftest import StripeSandbox
from tests.workflows.faults import Faults
from tests.workflows.saga import Saga, Workers
from worker import WorkerRole, build_worker
from workflows.client.task_queues import TaskQueueState, describe

Build = Callable[..., AbstractAsyncContextManager[None]]

RATE = 0.05
"""A second: one in 20 seconds."""


@workflow.defn
class LookUps:
    """Looks up payouts that Stripe does not know, in the task queue given, all at the same time."""

    @workflow.run
    async def run(self, task_queue: str, number: int) -> int:
        order = PayoutOrder(payout_id="po_unknown", account_id="acct_unknown")
        calls = [
            workflow.execute_activity(
                "look_up_payout",
                order,
                task_queue=task_queue,
                schedule_to_close_timeout=timedelta(seconds=20),
                retry_policy=RetryPolicy(maximum_attempts=1),
            )
            for _ in range(number)
        ]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        return sum(isinstance(each, ActivityError) and isinstance(each.cause, ApplicationError) for each in answers)


@pytest.fixture
async def working(
    temporal_address: str, engine: AsyncEngine, stripe_sandbox: StripeSandbox
) -> AsyncIterator[tuple[Saga, Build]]:
    client = await Client.connect(temporal_address, data_converter=pydantic_data_converter)
    queue = f"queues-{uuid4()}"
    async with stripe_client(stripe_sandbox.key, stripe_sandbox.url) as stripe:

        def build(role: WorkerRole, rate: float | None = None) -> AbstractAsyncContextManager[None]:
            return build_worker(
                client,
                queue,
                engine,
                StripeGateway(stripe, "http://127.0.0.1:1"),
                StripeDisputes(stripe),
                StripePayouts(stripe),
                StripeRefunds(stripe),
                StripeBalances(stripe),
                role=role,
                stripe_activities_per_second=rate,
            )

        env = WorkflowEnvironment.from_client(client)
        workers = Workers(lambda: build(WorkerRole.ALL))
        yield Saga(env, engine, stripe, Faults(), workers, stripe_sandbox.url, queue), build


async def test_calls_to_stripe_wait_for_a_worker_of_their_queue(working: tuple[Saga, Build]) -> None:
    saga, build = working
    async with build(WorkerRole.BOOKINGS):
        booking = asyncio.create_task(saga.booked())
        async with asyncio.timeout(20):
            while not (await stripe_queue(saga)).backlog:  # noqa: ASYNC110 - Temporal tells nobody
                await asyncio.sleep(0.1)
        assert (await stripe_queue(saga)).pollers == 0
        async with build(WorkerRole.STRIPE):
            booked = await booking
            await booked.handle.cancel()
            with pytest.raises(WorkflowFailureError):
                await booked.result()
    history = await booked.handle.fetch_history()
    scheduled = [
        (event.activity_task_scheduled_event_attributes.activity_type.name, queue)
        for event in history.events
        if (queue := event.activity_task_scheduled_event_attributes.task_queue.name)
    ]
    assert ("secure_payment", stripe_task_queue(saga.queue)) in scheduled
    assert {queue for _, queue in scheduled} == {stripe_task_queue(saga.queue)}


async def test_a_worker_of_bookings_carries_out_what_an_earlier_version_scheduled(working: tuple[Saga, Build]) -> None:
    saga, build = working
    async with build(WorkerRole.BOOKINGS):
        assert await look_ups(saga, saga.queue, 1) == 1


async def test_rate_of_calls_to_stripe_is_limited_and_no_other(working: tuple[Saga, Build]) -> None:
    saga, build = working
    caller = f"limited-{uuid4()}"
    async with build(WorkerRole.ALL, RATE):
        limited = asyncio.create_task(look_ups(saga, stripe_task_queue(saga.queue), 20, caller))
        for _ in range(3):
            assert await look_ups(saga, saga.queue, 20) == 20
        assert not limited.done()
        await saga.env.client.get_workflow_handle(caller).terminate()
        with pytest.raises(WorkflowFailureError):
            await limited


async def look_ups(saga: Saga, queue: str, number: int, caller: str | None = None) -> int:
    """The number of answers."""
    caller = caller or f"look-ups-{uuid4()}"
    client, runner = saga.env.client, UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue=caller, workflows=[LookUps], workflow_runner=runner):
        return await client.execute_workflow(LookUps.run, args=[queue, number], id=caller, task_queue=caller)


async def stripe_queue(saga: Saga) -> TaskQueueState:
    [state] = [each for each in await describe(saga.env.client, saga.queue) if each.name != saga.queue]
    return state
