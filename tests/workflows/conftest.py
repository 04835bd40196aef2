"""A saga to test: a time-skipping Temporal, a real Postgres, and the Stripe sandbox over HTTP."""

import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from activities.stripe.balances import StripeBalances
from activities.stripe.client import stripe_client
from activities.stripe.payments import StripeGateway
from activities.stripe.payouts import StripePayouts
from activities.stripe.refunds import StripeRefunds
from models.domain.ids import stripe_task_queue
from models.domain.policy import PaymentPlan
from tests.conftest import StripeSandbox
from tests.workflows.faults import Faults, FaultyDisputes, FaultyGateway
from tests.workflows.replay import replay_all
from tests.workflows.saga import QUEUE, Saga, Workers, register_search_attributes
from worker import build_worker

_TEST_SERVER = Path(sysconfig.get_path("scripts")) / "temporal-test-server"


@pytest.fixture
def plan() -> PaymentPlan:
    """How the saga's bookings are paid. Modules that are marked `both_plans` run under each."""
    return PaymentPlan.HOLD


@pytest.fixture
async def saga(
    request: pytest.FixtureRequest, engine: AsyncEngine, stripe_sandbox: StripeSandbox, plan: PaymentPlan
) -> AsyncIterator[Saga]:
    """Time is skipped while a test waits for a workflow's result, or sleeps on `saga.env`.

    After the test, every workflow that it started is replayed from its history.
    """
    # A full replay after the test finds what is not deterministic, but not what goes wrong when a worker drops a
    # workflow from its memory and reads it again. The marked tests do that at every task. So do those that replace the
    # worker: this server waits for ever for a stopped worker that has the workflow in memory.
    cached_workflows = 0 if request.node.get_closest_marker("uncached") else 100
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(_TEST_SERVER), data_converter=pydantic_data_converter
    )
    async with environment as env:
        await register_search_attributes(env.client)
        async with _working(env, engine, stripe_sandbox, QUEUE, plan, cached_workflows) as saga:
            yield saga
        await replay_all(env.client)


@pytest.fixture
async def live_saga(
    temporal_address: str, engine: AsyncEngine, stripe_sandbox: StripeSandbox, plan: PaymentPlan
) -> AsyncIterator[Saga]:
    """On a Temporal server that can reset workflows, in real time. Its bookings need short windows."""
    client = await Client.connect(temporal_address, data_converter=pydantic_data_converter)
    env = WorkflowEnvironment.from_client(client)
    async with _working(env, engine, stripe_sandbox, f"saga-{uuid4()}", plan, cached_workflows=100) as saga:
        yield saga


@asynccontextmanager
async def _working(
    env: WorkflowEnvironment,
    engine: AsyncEngine,
    sandbox: StripeSandbox,
    queue: str,
    plan: PaymentPlan,
    cached_workflows: int,
) -> AsyncIterator[Saga]:
    faults = Faults()
    async with stripe_client(sandbox.key, sandbox.url) as stripe:
        gateway = FaultyGateway(StripeGateway(stripe, "http://127.0.0.1:1"), faults)
        workers = Workers(
            lambda: build_worker(
                env.client,
                queue,
                engine,
                gateway,
                FaultyDisputes(stripe, faults),
                StripePayouts(stripe),
                StripeRefunds(stripe),
                StripeBalances(stripe),
                cached_workflows=cached_workflows,
                interceptors=[faults],
            ),
            replaceable=not (env.supports_time_skipping and cached_workflows),
        )
        await workers.start()
        try:
            yield Saga(env, engine, stripe, faults, workers, sandbox.url, queue, plan)
        finally:
            await workers.stop()
        # Where their rate is limited.
        assert faults.queues <= {stripe_task_queue(queue)}
