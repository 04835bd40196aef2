"""The whole stack as `./run up` starts it, and another API on it without rate limits."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.stripe.client import stripe_client
from models.db import build_engine
from models.domain.actors import Role
from sandbox import seed
from sandbox.demo.marketplace import OFFERING, Marketplace
from sandbox.stack.connected_accounts import create_connected_account
from sandbox.stack.stack import Stack
from tests.api.stack.unlimited_api import unlimited_api
from tests.collector import Collector, collecting


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    """Gets the spans of the stack."""
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="session")
def stack(
    services_loop: asyncio.Runner,
    services_directory: Path,
    tmp_path_factory: pytest.TempPathFactory,
    collector: Collector,
) -> Iterator[Stack]:
    """One for all tests, which `OneStackScheduling` keeps in one process. Each test signs up people of its own."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Fails in a second process of this run, all of which have their files next to each other.
        (tmp_path_factory.getbasetemp().parent / "has-a-stack").touch(exist_ok=False)
    stack = Stack(services_directory / "stack", env=collector.environment)
    services_loop.run(stack.__aenter__())
    try:
        yield stack
    finally:
        services_loop.run(stack.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def unlimited_url(stack: Stack, services_loop: asyncio.Runner) -> Iterator[str]:
    process, url = unlimited_api(stack)
    services_loop.run(process.start())
    try:
        yield url
    finally:
        services_loop.run(process.stop())


@pytest.fixture
async def market(stack: Stack) -> AsyncIterator[Marketplace]:
    """With an operator, a student, and an instructor with an offering. Their accounts are rows: signing up is slow."""
    engine = build_engine(stack.database_url)
    temporal = await Client.connect(stack.temporal_address, data_converter=pydantic_data_converter)
    async with (
        httpx.AsyncClient(base_url=stack.api_url, timeout=30, trust_env=False) as http,
        stripe_client(stack.stripe_key, stack.stripe_url) as stripe,
    ):
        market = Marketplace(stack, http, engine, stripe, temporal)
        await market.open(pairs=0)
        student_id, instructor_id = await seed.add_student(engine), uuid4()
        email = f"{instructor_id}@instructors.example"
        account_id = await create_connected_account(stripe, instructor_id, "Clara", "Wieck", email)
        await seed.add_instructor(engine, account_id, email=email, instructor_id=instructor_id)
        instructor = market.person(Role.INSTRUCTOR, instructor_id)
        await instructor.call("POST", "/offerings", 201, OFFERING)
        market.people.append((market.person(Role.STUDENT, student_id), instructor))
        yield market
    await engine.dispose()
