"""What the API's workflow clients share: time limits, and the errors that they raise."""

import asyncio
from collections.abc import AsyncIterator
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
    """How long a caller of the API is kept waiting for an answer."""

    checkout: timedelta = timedelta(seconds=15)
    decision: timedelta = timedelta(seconds=10)


TASK_TIMEOUT = timedelta(seconds=5)


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


class WorkflowCallError(Exception):
    """The workflow did not do what it was asked."""


class Refused(WorkflowCallError):
    def __init__(self, refusal: Refusal, sentence: str) -> None:
        super().__init__(sentence)
        self.refusal = refusal


class Closed(WorkflowCallError):
    pass


class Unreachable(WorkflowCallError):
    pass


@asynccontextmanager
async def translate_errors(limit: timedelta) -> AsyncIterator[None]:
    """Raises `WorkflowCallError` in place of the client's many errors, and when there is no answer within `limit`.

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


def _refused(cause: BaseException) -> WorkflowCallError:
    if isinstance(cause, ApplicationError) and cause.type in set(Refusal):
        return Refused(Refusal(cause.type), cause.message)
    # The workflow ended, or was cancelled, before it had answered.
    return Closed(type(cause).__name__)


async def retrieve_start_error(start: WithStartWorkflowOperation[Any, Any]) -> None:
    """Take note of how the start went, if it went at all: asyncio warns of an error that nobody has looked at."""
    handle = asyncio.ensure_future(start.workflow_handle())
    await asyncio.wait([handle], timeout=0)
    if not handle.done():
        handle.cancel()
    await asyncio.gather(handle, return_exceptions=True)
