"""How the API speaks to a booking's workflow: what it asks, how long it waits, and what silence means.

WorkflowCallError
├── Refused      the workflow has answered: not now, and why
├── Closed       there is no open workflow of that booking
└── Unreachable  no answer: Temporal or the workers do not answer in time; asking again is safe
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
from workflows.search_attributes import at_start

D = TypeVar("D", bound=Decision)
Update = UpdateMethodMultiParam[[BookingHandlers, D], BookingView]


class BookingClient:
    """Every method raises `WorkflowCallError`."""

    def __init__(self, client: Client, task_queue: str, timeouts: Timeouts | None = None) -> None:
        self._client = client
        self._task_queue = task_queue
        self._timeouts = timeouts or Timeouts()

    async def open_checkout(self, order: ReserveSlot) -> None:
        """Start the booking and wait until its student can pay. Asked again, it joins what was started."""
        booking_id = order.terms.booking_id
        start = WithStartWorkflowOperation(
            BookingWorkflow.run,
            order,
            id=workflow_id(booking_id),
            task_queue=self._task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            search_attributes=at_start(order),
            static_summary=f"slot {order.terms.slot_id}",
            # A task that died with its worker is given to another one after this.
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
        """Wait for the answer that the booking's start gives or gave, without starting anything."""
        first = self._handle(booking_id).get_update_handle_for(BookingWorkflow.open_checkout, OPEN_CHECKOUT)
        async with translate_errors(self._timeouts.checkout):
            _ = await first.result(rpc_timeout=self._timeouts.checkout)

    async def decide(self, booking_id: UUID, update: Update[D], decision: D, id: str | None = None) -> bool:
        """Whether the decision has been carried out; False when it is taken and its effects are still under way.

        One that comes again with its `id` is the same.
        """
        async with translate_errors(self._timeouts.decision):
            # Only an accepted update is durable: one that no worker has seen may be lost, and must be sent again.
            taken = await self._handle(booking_id).start_update(
                update,
                decision,
                id=id,
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                rpc_timeout=self._timeouts.decision,
            )
        try:
            async with translate_errors(self._timeouts.decision):
                await taken.result(rpc_timeout=self._timeouts.decision)
        except Unreachable:
            return False
        return True

    async def has_decided(self, booking_id: UUID, update: Update[D], id: str) -> bool:
        """Whether a decision with that `id` was carried out, also by a booking that has ended since."""
        try:
            async with translate_errors(self._timeouts.decision):
                known = self._handle(booking_id).get_update_handle_for(update, id)
                await known.result(rpc_timeout=self._timeouts.decision)
        except Closed:
            return False
        return True

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
