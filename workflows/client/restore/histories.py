"""What workflows have written to Postgres, read from their histories.

A history has the results of activities, but of most writes not the message. A replay makes the messages again: the
workflow's code runs as it did, and an interceptor sees what it sends.
"""

from collections.abc import AsyncIterator, Callable, Container, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from temporalio import worker, workflow
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer, WorkflowReplayResult

_CHANGED = (
    "TaskQueue = '{queue}' AND WorkflowType IN ('Booking', 'Dispute', 'Onboarding', 'Payout', 'Refund') "
    "AND (ExecutionStatus = 'Running' OR CloseTime >= '{since}')"
)


@dataclass(frozen=True)
class Write:
    """An activity that succeeded, as its workflow remembers it."""

    workflow_id: str
    activity: str
    message: Any
    result: Any
    at: datetime
    """The workflow's time at which it was done."""


class WriteCollector(worker.Interceptor):
    """Collects the writes among the activities of every workflow that is replayed. For the unsandboxed runner."""

    def __init__(self, activities: Container[str]) -> None:
        self._activities = activities
        self.writes: list[Write] = []

    def workflow_interceptor_class(
        self, input: worker.WorkflowInterceptorClassInput
    ) -> type[worker.WorkflowInboundInterceptor]:
        collect = self._collect

        class Inbound(worker.WorkflowInboundInterceptor):
            def init(self, outbound: worker.WorkflowOutboundInterceptor) -> None:
                super().init(_Outbound(outbound, collect))

        return Inbound

    def _collect(self, activity: str, arguments: Sequence[Any], handle: workflow.ActivityHandle[Any]) -> None:
        if activity not in self._activities:
            return

        def add(done: Any) -> None:
            if not done.cancelled() and done.exception() is None:
                id = workflow.info().workflow_id
                self.writes.append(Write(id, activity, arguments[0], done.result(), workflow.now()))

        handle.add_done_callback(add)


class _Outbound(worker.WorkflowOutboundInterceptor):
    def __init__(
        self,
        next: worker.WorkflowOutboundInterceptor,
        collect: Callable[[str, Sequence[Any], workflow.ActivityHandle[Any]], None],
    ) -> None:
        super().__init__(next)
        self._collect_activity = collect

    def start_activity(self, input: worker.StartActivityInput) -> workflow.ActivityHandle[Any]:
        handle = super().start_activity(input)
        self._collect_activity(input.activity, input.args, handle)
        return handle

    def start_local_activity(self, input: worker.StartLocalActivityInput) -> workflow.ActivityHandle[Any]:
        handle = super().start_local_activity(input)
        self._collect_activity(input.activity, input.args, handle)
        return handle


async def replay_changed(
    client: Client, task_queue: str, since: datetime, replayer: Replayer
) -> AsyncIterator[WorkflowReplayResult]:
    """Replay every workflow that is open, or has ended since then."""
    histories = _histories(client, _CHANGED.format(queue=task_queue, since=since.isoformat()))
    async with replayer.workflow_replay_iterator(histories) as results:
        async for result in results:
            yield result


async def _histories(client: Client, query: str) -> AsyncIterator[WorkflowHistory]:
    async for each in client.list_workflows(query):
        yield await client.get_workflow_handle(each.id, run_id=each.run_id).fetch_history()
