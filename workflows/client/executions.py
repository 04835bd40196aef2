"""Temporal's list of workflow executions, as the reconciliation reads it."""

from datetime import datetime

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

_ENDED = (
    "WorkflowType IN ('Booking', 'Dispute', 'Payout', 'Refund') AND "
    "ExecutionStatus IN ('Terminated', 'Failed', 'TimedOut') AND CloseTime >= '{since}'"
)


class WorkflowExecutions:
    """Implements `activities.reconciliation.orphans.WorkflowLookup`. Raises Temporal's errors."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def ended_from_outside(self, since: datetime) -> list[str]:
        query = _ENDED.format(since=since.isoformat())
        found = {execution.id async for execution in self._client.list_workflows(query, page_size=100)}
        return sorted(found)

    async def is_running(self, workflow_id: str) -> bool:
        try:
            description = await self._client.get_workflow_handle(workflow_id).describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return description.status is WorkflowExecutionStatus.RUNNING
