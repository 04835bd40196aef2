"""Worker versioning: a booking ends on the version that it began on, while a newer version takes the new ones."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from itertools import count

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from activities.stripe.balances import StripeBalances
from activities.stripe.client import stripe_client
from activities.stripe.disputes import StripeDisputes
from activities.stripe.payments import StripeGateway
from activities.stripe.payouts import StripePayouts
from activities.stripe.refunds import StripeRefunds
from models.db import build_engine
from models.domain.ids import stripe_task_queue
from models.domain.messages import Cancel
from models.domain.states import BookingStatus
from tests.conftest import StripeSandbox
from tests.workflows.faults import Faults
from tests.workflows.saga import QUEUE, Handle, Saga, Workers
from worker import build_worker
from workflows.booking.workflow import BookingWorkflow
from workflows.client.task_queues import DEPLOYMENT, describe_versions

Build = Callable[[str], AbstractAsyncContextManager[None]]


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = build_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def dev_server(temporal_address: str) -> Client:
    return await Client.connect(temporal_address, data_converter=pydantic_data_converter)


@pytest.fixture
async def versioned(
    dev_server: Client, engine: AsyncEngine, stripe_sandbox: StripeSandbox
) -> AsyncIterator[tuple[Saga, Build]]:
    """The dev server has worker versioning, which the time-skipping one does not have."""
    async with stripe_client(stripe_sandbox.key, stripe_sandbox.url) as stripe:

        def build(build_id: str) -> AbstractAsyncContextManager[None]:
            return build_worker(
                dev_server,
                QUEUE,
                engine,
                StripeGateway(stripe, "http://127.0.0.1:1"),
                StripeDisputes(stripe),
                StripePayouts(stripe),
                StripeRefunds(stripe),
                StripeBalances(stripe),
                build_id=build_id,
            )

        environment = WorkflowEnvironment.from_client(dev_server)
        workers = Workers(lambda: build("unused"))
        yield Saga(environment, engine, stripe, Faults(), workers, stripe_sandbox.url), build


async def test_bookings_of_an_old_and_a_new_version_both_end_on_two_workers(
    versioned: tuple[Saga, Build], dev_server: Client
) -> None:
    saga, build = versioned
    async with build("2026-11"):
        await _make_current(dev_server, "2026-11")
        old = await saga.paid()
        async with build("2026-12"):
            await _make_current(dev_server, "2026-12")
            new = await saga.paid()
            for booked in (old, new):
                cancel = Cancel(actor=booked.student)
                view = await booked.handle.execute_update(BookingWorkflow.cancel, cancel)
                assert view.booking_status is BookingStatus.CANCELLED
                await booked.handle.result()
            assert [await _versions(each.handle) for each in (old, new)] == [{"2026-11"}, {"2026-12"}]


async def test_tasks_of_a_version_without_a_worker_are_its_backlog(
    versioned: tuple[Saga, Build], dev_server: Client
) -> None:
    saga, build = versioned

    async def backlog() -> int:
        states = await describe_versions(dev_server, QUEUE)
        return sum(state.backlog for state in states if state.build_id == "2026-13" and state.type == "workflow")

    async with build("2026-13"):
        await _make_current(dev_server, "2026-13")
        booked = await saga.paid()
        assert await backlog() == 0
        queues = {state.name for state in await describe_versions(dev_server, QUEUE) if state.build_id == "2026-13"}
        assert queues == {QUEUE, stripe_task_queue(QUEUE)}
    await booked.handle.signal("cancel", Cancel(actor=booked.student))
    async with asyncio.timeout(20):
        while not await backlog():  # noqa: ASYNC110 - Temporal tells nobody
            await asyncio.sleep(0.1)
    async with build("2026-13"):
        await booked.handle.result()


async def _make_current(client: Client, build_id: str) -> None:
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace, deployment_name=DEPLOYMENT, build_id=build_id, identity="test"
    )
    async with asyncio.timeout(20):
        for _ in count():
            try:
                await client.workflow_service.set_worker_deployment_current_version(request)
            except RPCError:
                # The server does not know the version until its worker has polled.
                await asyncio.sleep(0.1)
            else:
                return


async def _versions(handle: Handle) -> set[str]:
    """The versions of the workers that completed the booking's workflow tasks."""
    completed = [event.workflow_task_completed_event_attributes for event in (await handle.fetch_history()).events]
    versions = {attributes.deployment_version.build_id for attributes in completed}
    return versions - {""}
