"""Temporal's list of what needs attention, as the sweep reads and changes it."""

from uuid import UUID

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError, RPCStatusCode

from models.domain.ids import ATTENTION_WORKFLOW, BOOKING_WORKFLOW, attention_workflow_id
from models.domain.messages import AttentionCase
from workflows.attention import CASE, AttentionWorkflow
from workflows.search_attributes import of_case, summary

# Of this installation alone: others may share the namespace.
_SHOWN = (
    "TaskQueue = '{queue}' AND WorkflowType IN ('Booking', 'Attention') AND ExecutionStatus = 'Running' "
    "AND NeedsAttention = true"
)
_PAGE_SIZE = 1_000


class AttentionExecutions:
    """Implements `activities.reconciliation.attention.AttentionList`. Raises Temporal's errors."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    async def shown(self) -> dict[UUID, AttentionCase | None]:
        query = _SHOWN.format(queue=self._task_queue)
        shown: dict[UUID, AttentionCase | None] = {}
        async for execution in self._client.list_workflows(query, page_size=_PAGE_SIZE):
            if execution.id.startswith(BOOKING_WORKFLOW):
                shown[UUID(execution.id.removeprefix(BOOKING_WORKFLOW))] = None
            else:
                booking_id = UUID(execution.id.removeprefix(ATTENTION_WORKFLOW))
                case = await execution.memo_value(CASE, type_hint=AttentionCase)
                shown.setdefault(booking_id, case)
        return shown

    async def show(self, case: AttentionCase, title: str) -> None:
        line = summary(title, case.starts_at, case.price)
        await self._client.start_workflow(
            AttentionWorkflow.run,
            case,
            id=attention_workflow_id(case.booking_id),
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            memo={CASE: case},
            search_attributes=of_case(case, line),
            static_summary=line,
            start_signal="changed",
            start_signal_args=[case],
        )

    async def end(self, booking_id: UUID) -> None:
        try:
            await self._client.get_workflow_handle(attention_workflow_id(booking_id)).signal(AttentionWorkflow.resolved)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
