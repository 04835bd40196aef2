"""A request's id on its way from the API into a workflow, and from there into its activities and their log lines.

It travels in headers, beside the arguments, and decides nothing: a history with other headers, or with none, replays
as it is (Temporal, "Interceptors"; the idea is that of samples-python's `context_propagation`).
"""

import logging
import time
from collections.abc import Mapping
from typing import Any

from temporalio import activity, client, worker, workflow
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadConverter

with workflow.unsafe.imports_passed_through():
    from models import logs

_HEADER = "holdfast-request-id"

log = logging.getLogger("holdfast.worker")

Headers = Mapping[str, Payload]


class RequestIdClientInterceptor(client.Interceptor):
    """For a client: whatever starts a workflow or tells it something says on whose request."""

    def intercept_client(self, next: client.OutboundInterceptor) -> client.OutboundInterceptor:
        return _Client(next)


class RequestIdWorkerInterceptor(worker.Interceptor):
    """For a worker: a workflow's lines, and its activities', name the last request that the workflow heard of."""

    def intercept_activity(self, next: worker.ActivityInboundInterceptor) -> worker.ActivityInboundInterceptor:
        return _Activity(next)

    def workflow_interceptor_class(
        self, input: worker.WorkflowInterceptorClassInput
    ) -> type[worker.WorkflowInboundInterceptor]:
        return _Workflow


class _Client(client.OutboundInterceptor):
    async def start_workflow(self, input: client.StartWorkflowInput) -> client.WorkflowHandle[Any, Any]:
        input.headers = _with_id(input.headers)
        return await super().start_workflow(input)

    async def signal_workflow(self, input: client.SignalWorkflowInput) -> None:
        input.headers = _with_id(input.headers)
        await super().signal_workflow(input)

    async def start_workflow_update(self, input: client.StartWorkflowUpdateInput) -> client.WorkflowUpdateHandle[Any]:
        input.headers = _with_id(input.headers)
        return await super().start_workflow_update(input)

    async def start_update_with_start_workflow(
        self, input: client.StartWorkflowUpdateWithStartInput
    ) -> client.WorkflowUpdateHandle[Any]:
        for part in (input.start_workflow_input, input.update_workflow_input):
            part.headers = _with_id(part.headers)
        return await super().start_update_with_start_workflow(input)


class _Workflow(worker.WorkflowInboundInterceptor):
    def __init__(self, next: worker.WorkflowInboundInterceptor) -> None:
        super().__init__(next)
        # One for all of the workflow's tasks: a booking that waits in one is moved on by a message in another.
        self._about: dict[str, str] = {}

    def init(self, outbound: worker.WorkflowOutboundInterceptor) -> None:
        super().init(_FromWorkflow(outbound))

    async def execute_workflow(self, input: worker.ExecuteWorkflowInput) -> Any:
        self._heard(input.headers)
        return await super().execute_workflow(input)

    async def handle_signal(self, input: worker.HandleSignalInput) -> None:
        self._heard(input.headers)
        await super().handle_signal(input)

    async def handle_update_handler(self, input: worker.HandleUpdateInput) -> Any:
        self._heard(input.headers)
        return await super().handle_update_handler(input)

    def _heard(self, headers: Headers) -> None:
        self._about |= {"workflow_id": workflow.info().workflow_id} | _about(headers)
        logs.bind(self._about)


class _FromWorkflow(worker.WorkflowOutboundInterceptor):
    def start_activity(self, input: worker.StartActivityInput) -> workflow.ActivityHandle[Any]:
        input.headers = _with_id(input.headers)
        return super().start_activity(input)

    def start_local_activity(self, input: worker.StartLocalActivityInput) -> workflow.ActivityHandle[Any]:
        input.headers = _with_id(input.headers)
        return super().start_local_activity(input)


class _Activity(worker.ActivityInboundInterceptor):
    async def execute_activity(self, input: worker.ExecuteActivityInput) -> Any:
        info = activity.info()
        about = {"activity": info.activity_type} | _about(input.headers)
        if info.workflow_id:
            about["workflow_id"] = info.workflow_id
        logs.bind(about)
        began, outcome = time.perf_counter(), "failed"
        try:
            result = await super().execute_activity(input)
            outcome = "done"
            return result
        finally:
            milliseconds = round((time.perf_counter() - began) * 1000, 1)
            log.info("activity", extra={"outcome": outcome, "attempt": info.attempt, "duration_ms": milliseconds})


def _with_id(headers: Headers) -> Headers:
    request_id = logs.bound().get(logs.REQUEST_ID)
    return {**headers, _HEADER: PayloadConverter.default.to_payload(request_id)} if request_id else headers


def _about(headers: Headers) -> dict[str, str]:
    if _HEADER not in headers:
        return {}
    return {logs.REQUEST_ID: PayloadConverter.default.from_payload(headers[_HEADER], str)}
