"""How the API speaks to a dispute's workflow. Errors are `api.bookings.client.SagaError`s, as a booking's are."""

from typing import Annotated

from fastapi import Depends, Request
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from api.bookings.client import Patience, answer_within
from api.http.problems import Kind, Problem
from models.domain.disputes import DisputeDecision, DisputeRefusal
from models.domain.ids import dispute_workflow_id
from workflows.disputes import DisputeWorkflow


class DisputeDesk:
    def __init__(self, client: Client, patience: Patience | None = None) -> None:
        self._client = client
        self._patience = patience or Patience()

    async def decide(self, dispute_id: str, decision: DisputeDecision) -> None:
        """Raises the 409 `Problem` when the bank needs no answer any more."""
        handle = self._client.get_workflow_handle(dispute_workflow_id(dispute_id))
        async with answer_within(self._patience.decision):
            try:
                await handle.execute_update(DisputeWorkflow.decide, decision, rpc_timeout=self._patience.decision)
            except WorkflowUpdateFailedError as error:
                cause = error.cause
                if isinstance(cause, ApplicationError) and cause.type == DisputeRefusal.NOT_OPEN:
                    raise Problem(Kind.NOT_POSSIBLE_NOW, cause.message) from error
                raise


async def _desk(request: Request) -> DisputeDesk:
    desk: DisputeDesk = request.app.state.disputes
    return desk


WithDisputes = Annotated[DisputeDesk, Depends(_desk)]
