"""The API's client of the Refund workflow. Raises `WorkflowCallError`."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowUpdateHandle, WorkflowUpdateStage
from temporalio.common import WorkflowIDConflictPolicy

from api.http.temporal import Closed, Timeouts, Unreachable, retrieve_start_error, translate_errors
from models.domain.ids import fraud_refund_id, refund_workflow_id
from models.domain.refunds import ORDERED, RefundEvent, RefundOrder, RefundView, RetryRefund
from models.domain.states import RefundStatus
from workflows.refunds import RefundWorkflow

StartOperation = WithStartWorkflowOperation[RefundWorkflow, RefundStatus | None]
SendUpdate = Callable[[StartOperation], Awaitable[WorkflowUpdateHandle[Any]]]


class RefundClient:
    def __init__(self, client: Client, task_queue: str, timeouts: Timeouts | None = None) -> None:
        self._client = client
        self._task_queue = task_queue
        self._timeouts = timeouts or Timeouts()

    async def execute(self, refund_id: UUID) -> RefundView | None:
        """Start the refund, or join it. Returns its result; `None` if it is still in progress."""

        async def send(start: StartOperation) -> WorkflowUpdateHandle[Any]:
            return await self._client.start_update_with_start_workflow(
                RefundWorkflow.ordered,
                id=ORDERED,
                start_workflow_operation=start,
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                rpc_timeout=self._timeouts.decision,
            )

        return await self._update(refund_id, send)

    async def retry(self, refund_id: UUID, retry: RetryRefund, id: str | None) -> RefundView | None:
        """Retry a failed refund, once for each `id`. Raises `Closed` if it has not failed."""

        async def send(start: StartOperation) -> WorkflowUpdateHandle[Any]:
            return await self._client.start_update_with_start_workflow(
                RefundWorkflow.try_again,
                retry,
                id=id,
                start_workflow_operation=start,
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                rpc_timeout=self._timeouts.decision,
            )

        return await self._update(refund_id, send)

    async def retried(self, refund_id: UUID, id: str) -> RefundView | None:
        """The outcome of a retry that was sent before with this `id`; `None` if there was none."""
        sent = self._client.get_workflow_handle(refund_workflow_id(refund_id))
        try:
            async with translate_errors(self._timeouts.decision):
                handle = sent.get_update_handle_for(RefundWorkflow.try_again, id)
                return await handle.result(rpc_timeout=self._timeouts.decision)
        except Closed:
            return None

    async def look_at_warning(self, warning_id: str) -> None:
        """Have a fraud warning looked at again, now that an operator has dismissed it. Its workflow then ends."""
        refund_id = fraud_refund_id(warning_id)
        async with translate_errors(self._timeouts.decision):
            await self._client.execute_workflow(
                RefundWorkflow.run,
                RefundOrder(refund_id=refund_id, fraud_warning_id=warning_id),
                id=refund_workflow_id(refund_id),
                task_queue=self._task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal="refund_event",
                start_signal_args=[RefundEvent(event_id=f"dismissed-{warning_id}", type="dismissed")],
            )

    async def _update(self, refund_id: UUID, send: SendUpdate) -> RefundView | None:
        start: StartOperation = WithStartWorkflowOperation(
            RefundWorkflow.run,
            RefundOrder(refund_id=refund_id),
            id=refund_workflow_id(refund_id),
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        try:
            async with translate_errors(self._timeouts.decision):
                accepted = await send(start)
        finally:
            await retrieve_start_error(start)
        try:
            async with translate_errors(self._timeouts.decision):
                view: RefundView = await accepted.result(rpc_timeout=self._timeouts.decision)
        except Unreachable:
            return None
        return view


async def _client(request: Request) -> RefundClient:
    client: RefundClient = request.app.state.refunds
    return client


WithRefundClient = Annotated[RefundClient, Depends(_client)]
