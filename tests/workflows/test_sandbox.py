"""What depends on the time, on chance or on the machine is refused in workflows, although they share their imports."""

import asyncio
import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from os import getenv
from pathlib import Path
from uuid import uuid4

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from temporalio.client import Client, WorkflowFailureError
    from temporalio.exceptions import ApplicationError
    from temporalio.worker import Worker
    from temporalio.workflow import NondeterminismError

    from workflows.client.sandbox import SANDBOX

CALLS: dict[str, Callable[[], object]] = {
    "datetime.now": lambda: datetime.now(),  # noqa: DTZ005
    "date.today": lambda: date.today(),  # noqa: DTZ011
    "time.time": lambda: time.time(),
    "random.random": lambda: random.random(),  # noqa: S311
    "uuid.uuid4": lambda: uuid4(),
    "os.getenv": lambda: getenv("HOME"),
    "Path.read_text": lambda: Path("x").read_text(),
    "open": lambda: open("x"),  # noqa: SIM115
    "threading.Thread": lambda: threading.Thread(),
}
ALLOWED = "workflow.now"


@workflow.defn
class Impure:
    @workflow.run
    async def run(self, call: str) -> str:
        workflow.now()
        if call != ALLOWED:
            CALLS[call]()
        # So that the others are at work meanwhile.
        await asyncio.sleep(0.01)
        return call


async def _outcome(client: Client, queue: str, call: str) -> str:
    try:
        return await client.execute_workflow(
            Impure.run, call, id=f"{queue}-{call}", task_queue=queue, run_timeout=timedelta(seconds=30)
        )
    except WorkflowFailureError as error:
        return str(error.cause.type) if isinstance(error.cause, ApplicationError) else repr(error.cause)


async def test_impure_call_is_refused_in_every_workflow_of_a_process(temporal_address: str) -> None:
    client, queue = await Client.connect(temporal_address), f"sandbox-{uuid4()}"
    async with Worker(
        client,
        task_queue=queue,
        workflows=[Impure],
        workflow_runner=SANDBOX,
        workflow_failure_exception_types=[NondeterminismError],
    ):
        calls = [ALLOWED, *CALLS]
        outcomes = await asyncio.gather(*(_outcome(client, queue, call) for call in calls))
    assert outcomes == [ALLOWED, *["RestrictedWorkflowAccessError"] * len(CALLS)]


def test_workflow_that_ends_in_one_thread_lifts_no_restriction_in_another() -> None:
    context = SANDBOX._importer.restriction_context
    context.is_runtime = True
    try:
        with ThreadPoolExecutor(1) as other:
            other.submit(setattr, context, "is_runtime", False).result()
        assert context.is_runtime
    finally:
        context.is_runtime = False
