"""A saga to test: a time-skipping Temporal, a real Postgres, and the Stripe sandbox over HTTP."""

import sysconfig
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from activities.stripe.balances import StripeBalances
from activities.stripe.client import stripe_client
from activities.stripe.disputes import StripeDisputes
from activities.stripe.payments import StripeGateway
from activities.stripe.payouts import StripePayouts
from activities.stripe.refunds import StripeRefunds
from tests.conftest import StripeSandbox
from tests.workflows.faults import Faults, FaultyGateway
from tests.workflows.replay import replay_all
from tests.workflows.saga import QUEUE, Saga, Workers, register_search_attributes
from worker import build_worker

_TEST_SERVER = Path(sysconfig.get_path("scripts")) / "temporal-test-server"


@pytest.fixture
async def saga(
    request: pytest.FixtureRequest, engine: AsyncEngine, stripe_sandbox: StripeSandbox
) -> AsyncIterator[Saga]:
    """Time is skipped while a test waits for a workflow's result, or sleeps on `saga.env`.

    After the test, every workflow that it started is replayed from its history.
    """
    faults = Faults()
    # Without a cache, each task replays the whole history, so a saga that cannot be replayed fails in the test. But
    # workflows that are at work at once then stall each other, for 10 seconds a task and in the end for ever.
    cached_workflows = 100 if request.node.get_closest_marker("concurrent_workflows") else 0
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(_TEST_SERVER), data_converter=pydantic_data_converter
    )
    async with stripe_client(stripe_sandbox.key, stripe_sandbox.url) as stripe, environment as env:
        await register_search_attributes(env.client)
        gateway = FaultyGateway(StripeGateway(stripe, "http://127.0.0.1:1"), faults)
        workers = Workers(
            lambda: build_worker(
                env.client,
                QUEUE,
                engine,
                gateway,
                StripeDisputes(stripe),
                StripePayouts(stripe),
                StripeRefunds(stripe),
                StripeBalances(stripe),
                cached_workflows=cached_workflows,
                interceptors=[faults],
            )
        )
        await workers.start()
        try:
            yield Saga(env, engine, stripe, faults, workers, stripe_sandbox.url)
        finally:
            await workers.stop()
        await replay_all(env.client)
