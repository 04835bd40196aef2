"""Shared by the API's workflow clients: timeouts, and the errors they raise."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import (
    RPCTimeoutOrCancelledError,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
)
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from models.domain.messages import Refusal


@dataclass(frozen=True)
class Timeouts:
    """How long a request waits for a workflow to respond."""

    checkout: timedelta = timedelta(seconds=15)
    decision: timedelta = timedelta(seconds=10)


TASK_TIMEOUT = timedelta(seconds=5)


_RETRYABLE = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.ABORTED,
        # A workflow's task has failed three times, as under a worker that dies again and again.
        RPCStatusCode.FAILED_PRECONDITION,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.UNKNOWN,
    }
)
"""Retryable: Temporal may accept the same request later. Any other status is a bug, and is raised unchanged."""


class WorkflowCallError(Exception):
    """The workflow did not do what was requested."""


class Refused(WorkflowCallError):
    """The workflow refused the update."""

    def __init__(self, refusal: Refusal, sentence: str, details: Sequence[Any] = ()) -> None:
        super().__init__(sentence)
        self.refusal = refusal
        self.details = details


class Closed(WorkflowCallError):
    """There is no open workflow with this id."""


class Unreachable(WorkflowCallError):
    """No response in time from Temporal or its workers. Retrying is safe."""


@asynccontextmanager
async def translate_errors(limit: timedelta) -> AsyncIterator[None]:
    """Translate the client's errors into `WorkflowCallError`, and raise `Unreachable` after `limit`.

    The client's own timeout is not enough: it restarts with each of the calls that waiting for an update takes.
    """
    try:
        async with asyncio.timeout(limit.total_seconds()):
            yield
    except WorkflowUpdateFailedError as error:
        raise _update_error(error.cause) from error
    except WorkflowAlreadyStartedError as error:
        raise Closed("the workflow has ended") from error
    except (TimeoutError, RPCTimeoutOrCancelledError) as error:
        raise Unreachable(f"no answer within {limit.total_seconds():.0f} s") from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise Closed("no open workflow") from error
        if error.status in _RETRYABLE:
            raise Unreachable(f"Temporal: {error.status.name}") from error
        raise
    except RuntimeError as error:
        # A lazy client connects on its first call, and raises a plain RuntimeError if that fails.
        if "Failed client connect" not in str(error):
            raise
        raise Unreachable("Temporal cannot be connected to") from error


def _update_error(cause: BaseException) -> WorkflowCallError:
    if isinstance(cause, ApplicationError) and cause.type in set(Refusal):
        return Refused(Refusal(cause.type), cause.message, cause.details)
    # The workflow ended, or was cancelled, before it completed the update.
    return Closed(type(cause).__name__)


async def retrieve_start_error(start: WithStartWorkflowOperation[Any, Any]) -> None:
    """Retrieve the result of the start, if there is one: asyncio warns about exceptions that nobody retrieved."""
    handle = asyncio.ensure_future(start.workflow_handle())
    await asyncio.wait([handle], timeout=0)
    if not handle.done():
        handle.cancel()
    await asyncio.gather(handle, return_exceptions=True)
