"""The API with a Temporal dev server, a worker of the test's own, and the Stripe sandbox."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import stripe
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.stripe.client import stripe_client as closing_client
from sandbox.stack.connected_accounts import create_connected_account
from tests.api.live.workers import Workers
from tests.api.world import World
from tests.conftest import StripeSandbox


@pytest.fixture
async def temporal(temporal_address: str) -> Client:
    return await Client.connect(temporal_address, data_converter=pydantic_data_converter)


@pytest.fixture
async def stripe_client(stripe_sandbox: StripeSandbox) -> AsyncIterator[stripe.StripeClient]:
    async with closing_client(stripe_sandbox.key, stripe_sandbox.url) as client:
        yield client


@pytest.fixture
async def world(engine: AsyncEngine, stripe_client: stripe.StripeClient) -> World:
    instructor_id = uuid4()
    account_id = await create_connected_account(
        stripe_client, instructor_id, "Nadia", "Boulanger", f"{instructor_id}@instructors.test"
    )
    return await World.create(engine, account_id)


@pytest.fixture
def workers(temporal: Client, task_queue: str, engine: AsyncEngine, stripe_client: stripe.StripeClient) -> Workers:
    return Workers(temporal, task_queue, engine, stripe_client)


@pytest.fixture
async def worker(workers: Workers) -> AsyncIterator[None]:
    async with workers.at_work():
        yield
