"""The state of the task queue, as Temporal's server reports it."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

_TYPES = {
    "workflow": TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    "activity": TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
}
_POLLED_WITHIN = timedelta(minutes=2)
"""An idle worker polls again every minute. The server lists pollers for five minutes after their last poll."""


class TaskQueueState(NamedTuple):
    type: str
    """`workflow` or `activity`."""
    pollers: int
    backlog: int
    """Tasks that wait for a worker, approximately."""
    backlog_age: timedelta
    """How long the oldest of them has waited."""


async def describe(client: Client, task_queue: str) -> list[TaskQueueState]:
    """Raises `RPCError`."""
    return [await _describe(client, task_queue, type) for type in _TYPES]


async def _describe(client: Client, task_queue: str, type: str) -> TaskQueueState:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=task_queue),
        task_queue_type=_TYPES[type],
        report_stats=True,
    )
    described = await client.workflow_service.describe_task_queue(request)
    since = datetime.now(UTC) - _POLLED_WITHIN
    return TaskQueueState(
        type=type,
        pollers=sum(poller.last_access_time.ToDatetime(UTC) >= since for poller in described.pollers),
        backlog=described.stats.approximate_backlog_count,
        backlog_age=described.stats.approximate_backlog_age.ToTimedelta(),
    )
