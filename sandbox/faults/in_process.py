"""Random histories without the API and the mails: the worker in this process, on a server that skips time.

Postgres, the Stripe sandbox and the test server are shared by many bookings. Decisions are sent to their workflows, as
the API sends them. Activities fail as the seed has it, before their effect or with their answer lost.
"""

import asyncio
import json
import sysconfig
import tempfile
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

import stripe
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.stripe.balances import StripeBalances
from activities.stripe.client import stripe_client
from activities.stripe.disputes import StripeDisputes
from activities.stripe.payments import StripeGateway
from activities.stripe.payouts import StripePayouts
from activities.stripe.refunds import StripeRefunds
from models.db import build_engine
from models.domain.ids import workflow_id
from models.domain.money import Money
from models.domain.policy import BookingPolicy, PaymentPlan
from models.domain.terms import BookingTerms
from sandbox import seed as seeds
from sandbox.faults.books import Execution
from sandbox.stack.connected_accounts import create_connected_account
from sandbox.stack.migrations import create_migrated_database
from sandbox.stack.postgres import Postgres
from sandbox.stack.stripe_server import SANDBOX_KEY, StripeServer
from worker import build_worker
from workflows import search_attributes

QUEUE: Final = "faults"
PRICE: Final = Money(amount_minor=10_000, currency="usd")
_DATABASE: Final = "holdfast"
_TEST_SERVER: Final = Path(sysconfig.get_path("scripts")) / "temporal-test-server"
_FAILING_ATTEMPTS: Final = 2
_FAILING_PERCENT: Final = 6
_SIGN_UPS_AT_ONCE: Final = 8
_RETRY_DELAY: Final = timedelta(seconds=1)


@dataclass(frozen=True)
class Servers:
    """Shared by all rounds."""

    engine: AsyncEngine
    stripe: stripe.StripeClient
    stripe_url: str
    pairs: Sequence["People"]


@dataclass(frozen=True)
class People:
    """A student, and an instructor with an offering. Each round gives them one booking."""

    student_id: UUID
    instructor_id: UUID
    account_id: str
    offering_id: UUID

    async def terms(
        self, engine: AsyncEngine, booking_id: UUID, plan: PaymentPlan, starts_at: datetime
    ) -> BookingTerms:
        ends_at = starts_at + timedelta(hours=1)
        return BookingTerms(
            booking_id=booking_id,
            student_id=self.student_id,
            instructor_id=self.instructor_id,
            offering_id=self.offering_id,
            slot_id=await seeds.add_slot(engine, self.offering_id, starts_at, ends_at),
            starts_at=starts_at,
            ends_at=ends_at,
            price=PRICE,
            policy=BookingPolicy(),
            plan=plan,
            stripe_account_id=self.account_id,
        )


class DrawnFailures(Interceptor):
    """Of each activity's first attempts, some fail: which, follows from the seed, the booking and the attempt."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Failing(next, self._seed)


class _Failing(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, seed: int) -> None:
        super().__init__(next)
        self._seed = seed

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        occasion = f"{self._seed}:{info.workflow_id}:{info.activity_type}:{info.attempt}"
        percent = zlib.crc32(occasion.encode()) % 100 if info.attempt <= _FAILING_ATTEMPTS else 100
        failure = ApplicationError("drawn", next_retry_delay=_RETRY_DELAY)
        if percent < _FAILING_PERCENT:
            raise failure
        result = await super().execute_activity(input)
        if percent < 2 * _FAILING_PERCENT:
            raise failure
        return result


@asynccontextmanager
async def servers(pairs: int) -> AsyncIterator[Servers]:
    """Raises: StartupError."""
    with tempfile.TemporaryDirectory(prefix="holdfast-faults-") as name:
        directory = Path(name)
        postgres = Postgres(directory / "postgres", log=directory / "postgres.log")
        sandbox = StripeServer(directory / "stripe", log=directory / "stripe.log")
        try:
            await asyncio.gather(postgres.start(), sandbox.start())
            await create_migrated_database(postgres, _DATABASE)
            engine = build_engine(postgres.url(_DATABASE), pool_size=30)
            try:
                async with stripe_client(SANDBOX_KEY, sandbox.url) as client:
                    turns = asyncio.Semaphore(_SIGN_UPS_AT_ONCE)
                    people = await asyncio.gather(*(_people(engine, client, turns) for _ in range(pairs)))
                    yield Servers(engine, client, sandbox.url, people)
            finally:
                await engine.dispose()
        finally:
            await asyncio.gather(sandbox.stop(), postgres.stop())


async def _people(engine: AsyncEngine, client: stripe.StripeClient, turns: asyncio.Semaphore) -> People:
    instructor_id = uuid4()
    async with turns:
        account_id = await create_connected_account(client, instructor_id, "Ines", "I", f"{instructor_id}@example.com")
        await seeds.add_instructor(engine, account_id, instructor_id=instructor_id)
        offering_id = await seeds.add_offering(engine, instructor_id, PRICE)
        return People(await seeds.add_student(engine), instructor_id, account_id, offering_id)


@asynccontextmanager
async def environment(shared: Servers, seed: int) -> AsyncIterator[WorkflowEnvironment]:
    """A new test server with its own clock, which begins now, and a worker on it."""
    started = await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(_TEST_SERVER), data_converter=pydantic_data_converter
    )
    async with started as env:
        attributes = {key.name: int(key.indexed_value_type) for key in search_attributes.ALL}
        await env.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=env.client.namespace, search_attributes=attributes)  # type: ignore[arg-type]
        )
        client = shared.stripe
        async with build_worker(
            env.client,
            QUEUE,
            shared.engine,
            StripeGateway(client, "http://127.0.0.1:1"),
            StripeDisputes(client),
            StripePayouts(client),
            StripeRefunds(client),
            StripeBalances(client),
            interceptors=[DrawnFailures(seed)],
        ):
            yield env


def booking_id(seed: int, booking: int) -> UUID:
    """So that the activities of a booking fail as the seed has it."""
    return uuid5(NAMESPACE_OID, f"holdfast:{seed}:{booking}")


async def execution(env: WorkflowEnvironment, id: UUID) -> Execution:
    """Not by `describe()`, which cannot read an unset time as this server returns it."""
    answer = await env.client.workflow_service.describe_workflow_execution(
        DescribeWorkflowExecutionRequest(
            namespace=env.client.namespace, execution=WorkflowExecution(workflow_id=workflow_id(id))
        )
    )
    info = answer.workflow_execution_info
    shown = info.search_attributes.indexed_fields.get(search_attributes.BOOKING_STATUS.name)
    return Execution(
        is_open=info.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING,
        is_terminated=info.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED,
        shown=json.loads(shown.data) if shown and shown.data else None,
    )
