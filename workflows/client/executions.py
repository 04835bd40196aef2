"""Temporal's list of workflow executions, as the reconciliation reads it."""

from collections.abc import AsyncIterator, Container
from datetime import datetime
from uuid import UUID

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.converter import decode_typed_search_attributes
from temporalio.service import RPCError, RPCStatusCode

from models.domain.ids import BOOKING_WORKFLOW, workflow_id
from models.domain.reconciliation import BookingExecution
from models.domain.states import BookingStatus, PaymentStatus
from workflows.search_attributes import BOOKING_STATUS, NEEDS_ATTENTION, PAYMENT_STATUS, SESSION_START

# Of this installation alone: others may share the namespace.
_OPEN_BOOKINGS = "TaskQueue = '{queue}' AND WorkflowType = 'Booking' AND ExecutionStatus = 'Running'"
# A booking that is cancelled ends itself. The others are to be carried on.
_ENDED = (
    "TaskQueue = '{queue}' AND (WorkflowType = 'Booking' AND ExecutionStatus IN ('Terminated', 'Failed', 'TimedOut') "
    "OR WorkflowType IN ('Dispute', 'Onboarding', 'Payout', 'Refund') AND "
    "ExecutionStatus IN ({statuses})) AND CloseTime >= '{since}'"
)
_BY_SOMEBODY = "'Canceled', 'Terminated'"
_FAILED = "TaskQueue = '{queue}' AND ExecutionStatus IN ('Failed', 'TimedOut')"
_FAILED_STATUS = (
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_FAILED,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TIMED_OUT,
)
_ENDED_STATUS = (
    *_FAILED_STATUS,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_CANCELED,
    WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_TERMINATED,
)
_PAGE_SIZE = 1_000


class WorkflowExecutions:
    """Implements `activities.reconciliation.executions.WorkflowLookup`. Raises Temporal's errors."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    async def open_bookings(self) -> AsyncIterator[BookingExecution]:
        query = _OPEN_BOOKINGS.format(queue=self._task_queue)
        async for execution in self._client.list_workflows(query, page_size=_PAGE_SIZE):
            yield _booking(execution.raw_info)

    async def booking(self, booking_id: UUID) -> BookingExecution | None:
        latest = await self._latest(workflow_id(booking_id))
        return _booking(latest) if latest and _is_open(latest) else None

    async def failed(self) -> list[str]:
        return await self._still(_FAILED.format(queue=self._task_queue), _FAILED_STATUS)

    async def ended_from_outside(self, since: datetime, *, is_failed_included: bool) -> list[str]:
        statuses = f"{_BY_SOMEBODY}, 'Failed', 'TimedOut'" if is_failed_included else _BY_SOMEBODY
        query = _ENDED.format(queue=self._task_queue, statuses=statuses, since=since.isoformat())
        return await self._still(query, _ENDED_STATUS)

    async def is_running(self, workflow_id: str) -> bool:
        latest = await self._latest(workflow_id)
        return latest is not None and _is_open(latest)

    async def _still(self, query: str, statuses: Container["WorkflowExecutionStatus.ValueType"]) -> list[str]:
        """The ids of those listed whose latest run has such a status. One that was reset or restarted has another."""
        ids = sorted({each.id async for each in self._client.list_workflows(query, page_size=_PAGE_SIZE)})
        return [id for id in ids if (latest := await self._latest(id)) and latest.status in statuses]

    async def _latest(self, workflow_id: str) -> WorkflowExecutionInfo | None:
        """As Temporal sends it: the SDK's description does not know the status of a paused workflow."""
        request = DescribeWorkflowExecutionRequest(
            namespace=self._client.namespace, execution=WorkflowExecution(workflow_id=workflow_id)
        )
        try:
            response = await self._client.workflow_service.describe_workflow_execution(request, retry=True)
            return response.workflow_execution_info
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise

    async def restart(self, workflow_id: str) -> bool:
        """Start a workflow that was ended from outside again, with the input that it had. False if it is running.

        It looks at Stripe and at the records before it does anything, so it goes on where the last run was ended.
        """
        if await self.is_running(workflow_id):
            return False
        handle = self._client.get_workflow_handle(workflow_id)
        first = await anext(handle.fetch_history_events(page_size=1))
        started = first.workflow_execution_started_event_attributes
        await self._client.start_workflow(
            started.workflow_type.name,
            args=await self._client.data_converter.decode(started.input.payloads),
            id=workflow_id,
            task_queue=started.task_queue.name,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=decode_typed_search_attributes(started.search_attributes),
        )
        return True


def _is_open(execution: WorkflowExecutionInfo) -> bool:
    """Running or paused."""
    return not execution.HasField("close_time")


def _booking(execution: WorkflowExecutionInfo) -> BookingExecution:
    attributes = decode_typed_search_attributes(execution.search_attributes)
    booking, payment = attributes.get(BOOKING_STATUS), attributes.get(PAYMENT_STATUS)
    return BookingExecution(
        booking_id=UUID(execution.execution.workflow_id.removeprefix(BOOKING_WORKFLOW)),
        booking_status=BookingStatus(booking) if booking else None,
        payment_status=PaymentStatus(payment) if payment else None,
        starts_at=attributes.get(SESSION_START),
        needs_attention=attributes.get(NEEDS_ATTENTION) or False,
    )
