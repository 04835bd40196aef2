"""How the API has the books reconciled. Errors are `api.bookings.client.SagaError`s, as a booking's are."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from api.bookings.client import Patience, Unreachable, answer_within
from models.domain.actors import Actor
from models.domain.ids import ordered_reconciliation_id
from models.domain.reconciliation import ReconciliationOrder
from workflows.reconciliation import ReconciliationWorkflow


class ReconciliationDesk:
    def __init__(self, client: Client, task_queue: str, patience: Patience | None = None) -> None:
        self._client = client
        self._task_queue = task_queue
        self._patience = patience or Patience()

    async def start(self, by: Actor) -> UUID:
        """The id of the run: a new one, or the one that somebody has asked for and that is not over."""
        async with answer_within(self._patience.decision):
            handle = await self._client.start_workflow(
                ReconciliationWorkflow.run,
                ReconciliationOrder(by=by),
                id=ordered_reconciliation_id(self._task_queue),
                task_queue=self._task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                rpc_timeout=self._patience.decision,
            )
        if handle.result_run_id is None:
            raise Unreachable("Temporal did not say which run it is")
        return UUID(handle.result_run_id)


async def _desk(request: Request) -> ReconciliationDesk:
    desk: ReconciliationDesk = request.app.state.reconciliations
    return desk


WithReconciliations = Annotated[ReconciliationDesk, Depends(_desk)]
