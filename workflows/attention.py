"""Attention for workflows that end on their own: a write that fails for good is shown to operators, and tried again.

A booking parks and waits for an operator. A refund, dispute, payout or account has nothing to decide: money has moved,
and its record is missing. So the workflow keeps trying, and says so wherever an operator looks.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.failed_writes import FailedWriteActivities
    from models.domain.messages import FailedWrite
    from workflows.activity_calls import persist, persist_decision
    from workflows.search_attributes import NEEDS_ATTENTION

T = TypeVar("T")
A = TypeVar("A")

_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(days=1)


class Attention:
    """`booking_id` is set once it is known whose booking needs attention. The workflow itself shows it in any case."""

    def __init__(self) -> None:
        self.booking_id: UUID | None = None
        self._reported: FailedWrite | None = None
        self._reason: str | None = None

    async def persist_until_recorded(
        self, activity: Callable[[Any, A], Awaitable[T]], record: A, *, is_decision: bool = False
    ) -> T:
        """A database write without which the workflow cannot go on. `is_decision`: it follows from an update."""
        write = persist_decision if is_decision else persist
        pause = _FIRST_PAUSE
        while True:
            try:
                result = await write(activity, record)
            except FailureError as failure:
                if is_cancelled_exception(failure):
                    raise
                await self.report(activity.__name__, failure)
            else:
                await self.resolve()
                return result
            await asyncio.sleep(pause.total_seconds())
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def report(self, activity_type: str, failure: FailureError) -> None:
        """Show that the write fails."""
        cause = failure.cause if isinstance(failure, ActivityError) else failure
        await self.show(f"{activity_type} fails and is tried again: {getattr(cause, 'message', type(cause).__name__)}")

    async def show(self, reason: str) -> None:
        """Show why the workflow needs attention. Repeating it changes nothing."""
        workflow.logger.error("%s", reason)
        if reason == self._reason:
            return
        self._reason = reason
        workflow.upsert_search_attributes([NEEDS_ATTENTION.value_set(True)])
        workflow.set_current_details(reason)
        if self.booking_id is not None and self._reported is None:
            self._reported = FailedWrite(booking_id=self.booking_id, reason=reason, at=workflow.now())
            await _try(FailedWriteActivities.report_failed_write, self._reported)

    async def resolve(self) -> None:
        """What was reported or shown is over."""
        if self._reason is None:
            return
        reported, self._reason, self._reported = self._reported, None, None
        workflow.upsert_search_attributes([NEEDS_ATTENTION.value_set(False)])
        workflow.set_current_details("")
        if reported is not None:
            resolved = reported.model_copy(update={"at": workflow.now()})
            await _try(FailedWriteActivities.resolve_failed_write, resolved)


async def _try(activity: Callable[[Any, FailedWrite], Awaitable[None]], message: FailedWrite) -> None:
    """The database that refuses a write may refuse this one, too. The search attribute is set all the same."""
    try:
        await persist(activity, message)
    except FailureError as failure:
        if is_cancelled_exception(failure):
            raise
        workflow.logger.error("the booking's attention cannot be recorded: %s", failure)
