"""The state of the task queues, as Temporal's server reports it: of each queue, and of each worker version."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.enums.v1 import TaskQueueType, VersionDrainageStatus
from temporalio.api.taskqueue.v1 import TaskQueue, TaskQueueStats
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentVersionRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from models.domain.ids import stripe_task_queue

DEPLOYMENT = "holdfast"
"""The name of the worker deployment whose versions are the build ids."""

_TYPES = {
    TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW: "workflow",
    TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY: "activity",
}
_POLLED_WITHIN = timedelta(minutes=2)
"""An idle worker polls again every minute. The server lists pollers for five minutes after their last poll."""


class TaskQueueState(NamedTuple):
    name: str
    type: str
    """`workflow` or `activity`."""
    pollers: int
    backlog: int
    """Tasks that wait for a worker, approximately."""
    backlog_age: timedelta
    """How long the oldest of them has waited."""


class VersionState(NamedTuple):
    """A version of the worker that has bookings, or gets the new ones."""

    build_id: str
    name: str
    """The task queue's."""
    type: str
    backlog: int
    """Tasks that only this version's workers take."""


async def describe(client: Client, task_queue: str) -> list[TaskQueueState]:
    """Of the workflows' queue, and of that of the activities which call Stripe. Raises `RPCError`."""
    activity = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
    queues = [*((task_queue, type) for type in _TYPES), (stripe_task_queue(task_queue), activity)]
    return [await _describe(client, name, type) for name, type in queues]


async def describe_versions(client: Client, task_queue: str) -> list[VersionState]:
    """None without worker versioning. Raises `RPCError`."""
    request = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=DEPLOYMENT)
    try:
        deployment = await client.workflow_service.describe_worker_deployment(request)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return []
        raise
    drained = VersionDrainageStatus.VERSION_DRAINAGE_STATUS_DRAINED
    return [
        state
        for summary in deployment.worker_deployment_info.version_summaries
        if summary.drainage_status != drained
        for state in await _describe_version(client, task_queue, summary.deployment_version.build_id)
    ]


async def _describe(client: Client, task_queue: str, type: TaskQueueType.ValueType) -> TaskQueueState:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=task_queue), task_queue_type=type, report_stats=True
    )
    described = await client.workflow_service.describe_task_queue(request)
    since = datetime.now(UTC) - _POLLED_WITHIN
    stats: TaskQueueStats = described.stats
    return TaskQueueState(
        name=task_queue,
        type=_TYPES[type],
        pollers=sum(poller.last_access_time.ToDatetime(UTC) >= since for poller in described.pollers),
        backlog=stats.approximate_backlog_count,
        backlog_age=stats.approximate_backlog_age.ToTimedelta(),
    )


async def _describe_version(client: Client, task_queue: str, build_id: str) -> list[VersionState]:
    request = DescribeWorkerDeploymentVersionRequest(
        namespace=client.namespace,
        deployment_version=WorkerDeploymentVersion(deployment_name=DEPLOYMENT, build_id=build_id),
        report_task_queue_stats=True,
    )
    described = await client.workflow_service.describe_worker_deployment_version(request)
    return [
        VersionState(build_id, queue.name, _TYPES[queue.type], queue.stats.approximate_backlog_count)
        for queue in described.version_task_queues
        if queue.name in (task_queue, stripe_task_queue(task_queue)) and queue.type in _TYPES
    ]
