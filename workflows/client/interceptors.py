"""Propagate the id of an API request into workflows, their activities and their log lines.

It travels in headers, next to the arguments, and decides nothing: a history with other headers, or none, still replays
(Temporal, "Interceptors"; samples-python, `context_propagation`).
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
    """Sends the request id with every start, signal and update."""

    def intercept_client(self, next: client.OutboundInterceptor) -> client.OutboundInterceptor:
        return _ClientOutbound(next)


class RequestIdWorkerInterceptor(worker.Interceptor):
    """Logs the request id of the last message that the workflow received, in its lines and its activities'."""

    def intercept_activity(self, next: worker.ActivityInboundInterceptor) -> worker.ActivityInboundInterceptor:
        return _ActivityInbound(next)

    def workflow_interceptor_class(
        self, input: worker.WorkflowInterceptorClassInput
    ) -> type[worker.WorkflowInboundInterceptor]:
        return _WorkflowInbound


class _ClientOutbound(client.OutboundInterceptor):
    async def start_workflow(self, input: client.StartWorkflowInput) -> client.WorkflowHandle[Any, Any]:
        input.headers = _with_request_id(input.headers)
        return await super().start_workflow(input)

    async def signal_workflow(self, input: client.SignalWorkflowInput) -> None:
        input.headers = _with_request_id(input.headers)
        await super().signal_workflow(input)

    async def start_workflow_update(self, input: client.StartWorkflowUpdateInput) -> client.WorkflowUpdateHandle[Any]:
        input.headers = _with_request_id(input.headers)
        return await super().start_workflow_update(input)

    async def start_update_with_start_workflow(
        self, input: client.StartWorkflowUpdateWithStartInput
    ) -> client.WorkflowUpdateHandle[Any]:
        for part in (input.start_workflow_input, input.update_workflow_input):
            part.headers = _with_request_id(part.headers)
        return await super().start_update_with_start_workflow(input)


class _WorkflowInbound(worker.WorkflowInboundInterceptor):
    def __init__(self, next: worker.WorkflowInboundInterceptor) -> None:
        super().__init__(next)
        # Shared by all of the workflow's tasks: a booking that waits in one is continued by a message in another.
        self._context: dict[str, str] = {}

    def init(self, outbound: worker.WorkflowOutboundInterceptor) -> None:
        super().init(_WorkflowOutbound(outbound))

    async def execute_workflow(self, input: worker.ExecuteWorkflowInput) -> Any:
        self._bind(input.headers)
        return await super().execute_workflow(input)

    async def handle_signal(self, input: worker.HandleSignalInput) -> None:
        self._bind(input.headers)
        await super().handle_signal(input)

    async def handle_update_handler(self, input: worker.HandleUpdateInput) -> Any:
        self._bind(input.headers)
        return await super().handle_update_handler(input)

    def _bind(self, headers: Headers) -> None:
        self._context |= {"workflow_id": workflow.info().workflow_id} | _context_of(headers)
        logs.bind(self._context)


class _WorkflowOutbound(worker.WorkflowOutboundInterceptor):
    def start_activity(self, input: worker.StartActivityInput) -> workflow.ActivityHandle[Any]:
        input.headers = _with_request_id(input.headers)
        return super().start_activity(input)

    def start_local_activity(self, input: worker.StartLocalActivityInput) -> workflow.ActivityHandle[Any]:
        input.headers = _with_request_id(input.headers)
        return super().start_local_activity(input)


class _ActivityInbound(worker.ActivityInboundInterceptor):
    async def execute_activity(self, input: worker.ExecuteActivityInput) -> Any:
        info = activity.info()
        context = {"activity": info.activity_type} | _context_of(input.headers)
        if info.workflow_id:
            context["workflow_id"] = info.workflow_id
        logs.bind(context)
        began, outcome = time.perf_counter(), "failed"
        try:
            result = await super().execute_activity(input)
            outcome = "done"
            return result
        finally:
            milliseconds = round((time.perf_counter() - began) * 1000, 1)
            log.info("activity", extra={"outcome": outcome, "attempt": info.attempt, "duration_ms": milliseconds})


def _with_request_id(headers: Headers) -> Headers:
    request_id = logs.bound().get(logs.REQUEST_ID)
    return {**headers, _HEADER: PayloadConverter.default.to_payload(request_id)} if request_id else headers


def _context_of(headers: Headers) -> dict[str, str]:
    if _HEADER not in headers:
        return {}
    return {logs.REQUEST_ID: PayloadConverter.default.from_payload(headers[_HEADER], str)}
