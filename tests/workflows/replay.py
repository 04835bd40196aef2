"""Replays what the workflows of a test did, which fails for any that are not deterministic."""

from collections.abc import AsyncIterator
from typing import Any

from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    ListClosedWorkflowExecutionsRequest,
    ListOpenWorkflowExecutionsRequest,
)
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from workflows.client.interceptors import LoggingInterceptor
from workflows.client.workflow_types import WORKFLOWS

_MOST = 1_000
_TYPES = frozenset(
    {"Adjustment", "Booking", "Dispute", "Onboarding", "OrphanSweep", "Payout", "Reconciliation", "Refund"}
)
"""Ours: a test may run a workflow of its own."""

# The workers of the tests have the sandbox, so here it would find nothing more.
_REPLAYER = Replayer(
    workflows=WORKFLOWS,
    workflow_runner=UnsandboxedWorkflowRunner(),
    data_converter=pydantic_data_converter,
    interceptors=[TracingInterceptor(), LoggingInterceptor()],
)


async def executions(client: Client) -> list[WorkflowExecutionInfo]:
    """Every workflow run on a server, whether open or closed. The time-skipping server has no `list_workflows`."""
    open_ = await client.workflow_service.list_open_workflow_executions(
        ListOpenWorkflowExecutionsRequest(namespace=client.namespace, maximum_page_size=_MOST)
    )
    closed = await client.workflow_service.list_closed_workflow_executions(
        ListClosedWorkflowExecutionsRequest(namespace=client.namespace, maximum_page_size=_MOST)
    )
    return [*open_.executions, *closed.executions]


async def replay_all(client: Client) -> None:
    """Replay every run on a server. Raises `workflow.NondeterminismError` for the first that takes another way."""
    await _REPLAYER.replay_workflows(_histories(client))


async def replay(handle: WorkflowHandle[Any, Any]) -> None:
    """Replay one run, as `replay_all` does."""
    await _REPLAYER.replay_workflow(await handle.fetch_history())


async def _histories(client: Client) -> AsyncIterator[WorkflowHistory]:
    for each in await executions(client):
        if each.type.name not in _TYPES:
            continue
        run = each.execution
        yield await client.get_workflow_handle(run.workflow_id, run_id=run.run_id).fetch_history()
