"""How the API speaks to a booking's workflow: what it asks, how long it waits, and what silence means.

SagaError
├── Refused      the workflow has answered: not now, and why
├── Closed       there is no open workflow of that booking
└── Unreachable  no answer: Temporal or the workers do not answer in time; asking again is safe
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Depends, Request
from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WithStartWorkflowOperation,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateStage,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.workflow import UpdateMethodMultiParam

from models.domain.ids import workflow_id
from models.domain.messages import OPEN_CHECKOUT, BookingView, Decision, Refusal, ReserveSlot
from workflows.booking.handlers import BookingDoors
from workflows.booking.workflow import BookingWorkflow
from workflows.search_attributes import at_start

D = TypeVar("D", bound=Decision)
Update = UpdateMethodMultiParam[[BookingDoors, D], BookingView]


@dataclass(frozen=True)
class Patience:
    """How long a caller of the API is kept waiting for an answer."""

    checkout: timedelta = timedelta(seconds=15)
    decision: timedelta = timedelta(seconds=10)


_TASK_WITHIN = timedelta(seconds=5)
_MAY_PASS = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.ABORTED,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.UNKNOWN,
    }
)
"""Temporal may answer the same request later; any other status is a mistake of ours and is raised as it is."""


class SagaError(Exception):
    """The workflow did not do what it was asked."""


class Refused(SagaError):
    def __init__(self, refusal: Refusal, sentence: str) -> None:
        super().__init__(sentence)
        self.refusal = refusal


class Closed(SagaError):
    pass


class Unreachable(SagaError):
    pass


class Saga:
    """Every method raises `SagaError`."""

    def __init__(self, client: Client, task_queue: str, patience: Patience | None = None) -> None:
        self._client = client
        self._task_queue = task_queue
        self._patience = patience or Patience()

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
            task_timeout=_TASK_WITHIN,
        )
        try:
            async with answer_within(self._patience.checkout):
                _ = await self._client.execute_update_with_start_workflow(
                    BookingWorkflow.open_checkout,
                    id=OPEN_CHECKOUT,
                    start_workflow_operation=start,
                    rpc_timeout=self._patience.checkout,
                )
        except Closed:
            await self.join_checkout(booking_id)
        finally:
            await heard(start)

    async def join_checkout(self, booking_id: UUID) -> None:
        """Wait for the answer that the booking's start gives or gave, without starting anything."""
        first = self._handle(booking_id).get_update_handle_for(BookingWorkflow.open_checkout, OPEN_CHECKOUT)
        async with answer_within(self._patience.checkout):
            _ = await first.result(rpc_timeout=self._patience.checkout)

    async def decide(self, booking_id: UUID, update: Update[D], decision: D, id: str | None = None) -> bool:
        """Whether the decision has been carried out; False when it is taken and its effects are still under way.

        One that comes again with its `id` is the same.
        """
        async with answer_within(self._patience.decision):
            # Only an accepted update is durable: one that no worker has seen may be lost, and must be sent again.
            taken = await self._handle(booking_id).start_update(
                update,
                decision,
                id=id,
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                rpc_timeout=self._patience.decision,
            )
        try:
            async with answer_within(self._patience.decision):
                await taken.result(rpc_timeout=self._patience.decision)
        except Unreachable:
            return False
        return True

    async def has_decided(self, booking_id: UUID, update: Update[D], id: str) -> bool:
        """Whether a decision with that `id` was carried out, also by a booking that has ended since."""
        try:
            async with answer_within(self._patience.decision):
                known = self._handle(booking_id).get_update_handle_for(update, id)
                await known.result(rpc_timeout=self._patience.decision)
        except Closed:
            return False
        return True

    async def is_reachable(self, within: timedelta) -> bool:
        try:
            async with answer_within(within):
                return await self._client.service_client.check_health(timeout=within)
        except SagaError:
            return False

    def _handle(self, booking_id: UUID) -> WorkflowHandle[Any, Any]:
        return self._client.get_workflow_handle(workflow_id(booking_id))


@asynccontextmanager
async def answer_within(limit: timedelta) -> AsyncIterator[None]:
    """Raises `SagaError` in place of the client's many errors, and when there is no answer within `limit`.

    The client's own time-out counts anew for each of the calls that waiting for an update takes.
    """
    try:
        async with asyncio.timeout(limit.total_seconds()):
            yield
    except WorkflowUpdateFailedError as error:
        raise _refused(error.cause) from error
    except WorkflowAlreadyStartedError as error:
        raise Closed("the workflow has ended") from error
    except (TimeoutError, RPCTimeoutOrCancelledError) as error:
        raise Unreachable(f"no answer within {limit.total_seconds():.0f} s") from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise Closed("no open workflow") from error
        if error.status in _MAY_PASS:
            raise Unreachable(f"Temporal: {error.status.name}") from error
        raise
    except RuntimeError as error:
        # A lazy client connects at its first call, and has no type of its own for a failure to.
        if "Failed client connect" not in str(error):
            raise
        raise Unreachable("Temporal cannot be connected to") from error


def _refused(cause: BaseException) -> SagaError:
    if isinstance(cause, ApplicationError) and cause.type in set(Refusal):
        return Refused(Refusal(cause.type), cause.message)
    # The workflow ended, or was cancelled, before it had answered.
    return Closed(type(cause).__name__)


async def heard(start: WithStartWorkflowOperation[Any, Any]) -> None:
    """Take note of how the start went, if it went at all: asyncio warns of an error that nobody has looked at."""
    handle = asyncio.ensure_future(start.workflow_handle())
    await asyncio.wait([handle], timeout=0)
    if not handle.done():
        handle.cancel()
    await asyncio.gather(handle, return_exceptions=True)


async def _saga(request: Request) -> Saga:
    saga: Saga = request.app.state.saga
    return saga


WithSaga = Annotated[Saga, Depends(_saga)]
