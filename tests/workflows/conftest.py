"""A saga to test: a time-skipping Temporal, a real Postgres, and the Stripe sandbox over HTTP."""

import sysconfig
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from activities.stripe_gateway import StripeGateway, connect
from models.db import build_engine
from tests.conftest import StripeSandbox
from tests.workflows.faults import Faults, FaultyGateway
from tests.workflows.saga import Saga, register_search_attributes, run_worker

_TEST_SERVER = Path(sysconfig.get_path("scripts")) / "temporal-test-server"


@pytest.fixture
async def saga(database_url: str, stripe_sandbox: StripeSandbox) -> AsyncIterator[Saga]:
    """Time is skipped while a test waits for a workflow's result, or sleeps on `saga.env`."""
    engine = build_engine(database_url)
    stripe = connect(stripe_sandbox.key, stripe_sandbox.url)
    faults = Faults()
    gateway = FaultyGateway(StripeGateway(stripe, "http://127.0.0.1:1"), faults)
    environment = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(_TEST_SERVER), data_converter=pydantic_data_converter
    )
    try:
        async with environment as env:
            await register_search_attributes(env.client)
            saga = Saga(env, engine, stripe, faults)
            async with run_worker(env.client, engine, gateway, faults):
                yield saga
    finally:
        await engine.dispose()
