"""The API's client of the Booking workflow.

WorkflowCallError
├── Refused      the workflow refused the update, with the reason
├── Closed       there is no open workflow for this booking
└── Unreachable  no response in time from Temporal or its workers; retrying is safe
"""

from datetime import timedelta
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Depends, Request
from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowHandle,
    WorkflowUpdateStage,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.workflow import UpdateMethodMultiParam

from api.http.temporal import (
    TASK_TIMEOUT,
    Closed,
    Timeouts,
    Unreachable,
    WorkflowCallError,
    retrieve_start_error,
    translate_errors,
)
from models.domain.ids import workflow_id
from models.domain.messages import OPEN_CHECKOUT, BookingView, Decision, ReserveSlot
from workflows.booking.handlers import BookingHandlers
from workflows.booking.workflow import BookingWorkflow
from workflows.client.executions import WorkflowExecutions
from workflows.search_attributes import at_start, summary

D = TypeVar("D", bound=Decision)
Update = UpdateMethodMultiParam[[BookingHandlers, D], BookingView]


class BookingClient:
    """Every method raises `WorkflowCallError`."""

    def __init__(self, client: Client, task_queue: str, timeouts: Timeouts | None = None) -> None:
        self._client = client
        self._task_queue = task_queue
        self._timeouts = timeouts or Timeouts()
        self._executions = WorkflowExecutions(client, task_queue)

    async def open_checkout(self, order: ReserveSlot, title: str) -> None:
        """Start the workflow and wait until the student can pay. Safe to repeat: it joins a running workflow.

        `title` is the offering's, for operators.
        """
        booking_id, shown = order.terms.booking_id, summary(title, order.terms.starts_at, order.terms.price)
        start = WithStartWorkflowOperation(
            BookingWorkflow.run,
            order,
            id=workflow_id(booking_id),
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=at_start(order, shown),
            static_summary=shown,
            # If a worker dies, another one gets its workflow task after this timeout.
            task_timeout=TASK_TIMEOUT,
        )
        try:
            async with translate_errors(self._timeouts.checkout):
                _ = await self._client.execute_update_with_start_workflow(
                    BookingWorkflow.open_checkout,
                    id=OPEN_CHECKOUT,
                    start_workflow_operation=start,
                    rpc_timeout=self._timeouts.checkout,
                )
        except Closed:
            await self.join_checkout(booking_id)
        finally:
            await retrieve_start_error(start)

    async def join_checkout(self, booking_id: UUID) -> None:
        """Wait for the result of an `open_checkout` that was sent before, without starting a workflow."""
        sent = self._handle(booking_id).get_update_handle_for(BookingWorkflow.open_checkout, OPEN_CHECKOUT)
        async with translate_errors(self._timeouts.checkout):
            _ = await sent.result(rpc_timeout=self._timeouts.checkout)

    async def decide(self, booking_id: UUID, update: Update[D], decision: D, id: str | None = None) -> bool:
        """Send a decision. True once it has been carried out; False if it was accepted and is still in progress.

        `id` makes the update idempotent: sent again with the same `id`, it is carried out once, and has the same
        outcome even if the booking has ended since. Otherwise `Unreachable` means that it may still be carried out:
        a worker that comes back takes what it was sent.
        """
        try:
            async with translate_errors(self._timeouts.decision):
                # Only an accepted update is durable. One that no worker has seen can be lost.
                accepted = await self._handle(booking_id).start_update(
                    update,
                    decision,
                    id=id,
                    wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                    rpc_timeout=self._timeouts.decision,
                )
        except Closed:
            if id and await self.has_decided(booking_id, update, id):
                return True
            raise
        try:
            async with translate_errors(self._timeouts.decision):
                await accepted.result(rpc_timeout=self._timeouts.decision)
        except Unreachable:
            return False
        return True

    async def has_decided(self, booking_id: UUID, update: Update[D], id: str) -> bool:
        """Whether a decision with this `id` was carried out, even if the booking has ended since."""
        try:
            async with translate_errors(self._timeouts.decision):
                sent = self._handle(booking_id).get_update_handle_for(update, id)
                await sent.result(rpc_timeout=self._timeouts.decision)
        except Closed:
            return False
        return True

    async def is_open(self, booking_id: UUID) -> bool:
        """Whether the booking has an open workflow. A decision can fail although it has."""
        async with translate_errors(self._timeouts.decision):
            return await self._executions.is_running(workflow_id(booking_id))

    async def is_reachable(self, within: timedelta) -> bool:
        try:
            async with translate_errors(within):
                return await self._client.service_client.check_health(timeout=within)
        except WorkflowCallError:
            return False

    def _handle(self, booking_id: UUID) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(workflow_id(booking_id))


async def _booking_client(request: Request) -> BookingClient:
    bookings: BookingClient = request.app.state.bookings
    return bookings


WithBookingClient = Annotated[BookingClient, Depends(_booking_client)]
