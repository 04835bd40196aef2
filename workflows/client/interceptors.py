"""Trace ids of API requests in workflows and their activities, and log lines about both.

Temporal's own interceptor carries the trace in headers, next to the arguments. It decides nothing: a history with other
headers, or none, still replays (Temporal, "Interceptors"; samples-python, `context_propagation`).
"""

import logging
import time
from typing import Any

from opentelemetry import trace
from temporalio import activity, client, worker, workflow
from temporalio.contrib.opentelemetry import TracingInterceptor

with workflow.unsafe.imports_passed_through():
    from models import logs

log = logging.getLogger("holdfast.worker")


def traced(temporal: client.Client) -> client.Client:
    """The client, such that what it starts continues the current trace. So do the workers that use it.

    Without an exporter, there are no spans; the interceptor still carries the trace id.
    """
    config, tracing = temporal.config(), TracingInterceptor(trace.get_tracer("temporalio"))
    return client.Client(**config | {"interceptors": [*config["interceptors"], tracing]})


class LoggingInterceptor(worker.Interceptor):
    """Puts the workflow's id in its log lines and its activities', and logs each activity."""

    def intercept_activity(self, next: worker.ActivityInboundInterceptor) -> worker.ActivityInboundInterceptor:
        return _ActivityInbound(next)

    def workflow_interceptor_class(
        self, input: worker.WorkflowInterceptorClassInput
    ) -> type[worker.WorkflowInboundInterceptor]:
        return _WorkflowInbound


class _WorkflowInbound(worker.WorkflowInboundInterceptor):
    async def execute_workflow(self, input: worker.ExecuteWorkflowInput) -> Any:
        _bind()
        return await super().execute_workflow(input)

    async def handle_signal(self, input: worker.HandleSignalInput) -> None:
        _bind()
        await super().handle_signal(input)

    async def handle_update_handler(self, input: worker.HandleUpdateInput) -> Any:
        _bind()
        return await super().handle_update_handler(input)


def _bind() -> None:
    logs.bind({"workflow_id": workflow.info().workflow_id})


class _ActivityInbound(worker.ActivityInboundInterceptor):
    async def execute_activity(self, input: worker.ExecuteActivityInput) -> Any:
        info = activity.info()
        context = {"activity": info.activity_type}
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
