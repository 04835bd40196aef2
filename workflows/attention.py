"""What needs an operator beside parked bookings, found in Temporal by `NeedsAttention`.

A booking parks and waits for an operator. A refund, dispute, payout or account has nothing to decide: money has moved,
and its record is missing. So the workflow keeps trying, and `Attention` says so wherever an operator looks.

A booking whose workflow has ended cannot say anything any more. `AttentionWorkflow` does, for as long as the booking's
record needs attention: the sweep of `workflows/orphans.py` starts, changes and ends it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate
from temporalio.exceptions import ActivityError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.failed_writes import FailedWriteActivities
    from models.domain.attention import kind_of
    from models.domain.ids import workflow_id
    from models.domain.messages import AttentionCase, FailedWrite
    from models.domain.payments import stripe_dashboard
    from workflows.activity_calls import persist, persist_decision
    from workflows.descriptions import table
    from workflows.search_attributes import BOOKING_STATUS, NEEDS_ATTENTION, PAYMENT_STATUS

T = TypeVar("T")
A = TypeVar("A")

CASE = "case"
"""The memo with the `AttentionCase` that the workflow shows."""
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(days=1)


class Attention:
    """`concerns` is told once it is known whose booking needs attention. The workflow itself shows it in any case."""

    def __init__(self) -> None:
        self.booking_id: UUID | None = None
        self._subject: dict[str, str | None] = {}
        self._reported: FailedWrite | None = None
        self._reason: str | None = None

    def concerns(self, booking_id: UUID, subject: str) -> None:
        """`subject` says in a line where the workflow stands. No event in its history."""
        self.booking_id = booking_id
        self._subject = {"Booking": f"`{workflow_id(booking_id)}`", workflow.info().workflow_type: subject}
        self._set_details()

    def _set_details(self) -> None:
        rows = {"Needs attention": self._reason, **self._subject}
        workflow.set_current_details(table(rows) if any(rows.values()) else "")

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
        self._set_details()
        if self.booking_id is not None and self._reported is None:
            self._reported = FailedWrite(booking_id=self.booking_id, reason=reason, at=workflow.now())
            await _try(FailedWriteActivities.report_failed_write, self._reported)

    async def resolve(self) -> None:
        """What was reported or shown is over."""
        if self._reason is None:
            return
        reported, self._reason, self._reported = self._reported, None, None
        workflow.upsert_search_attributes([NEEDS_ATTENTION.value_set(False)])
        self._set_details()
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


@workflow.defn(name="Attention")
class AttentionWorkflow:
    @workflow.init
    def __init__(self, case: AttentionCase) -> None:
        self._case = case
        self._is_over = False

    @workflow.run
    async def run(self, case: AttentionCase) -> None:
        workflow.set_current_details(_details(self._case))
        try:
            await workflow.wait_condition(lambda: self._is_over)
        finally:
            workflow.upsert_search_attributes([NEEDS_ATTENTION.value_set(False)])

    @workflow.signal(description="Sent by the sweep when the reason or a status has changed.")
    def changed(self, case: AttentionCase) -> None:
        if case == self._case:
            return  # Sent again, or with the start.
        self._case = case
        workflow.upsert_memo({CASE: case})
        updates: list[SearchAttributeUpdate[Any]] = [BOOKING_STATUS.value_set(case.booking_status)]
        if case.payment_status:
            updates.append(PAYMENT_STATUS.value_set(case.payment_status))
        workflow.upsert_search_attributes(updates)
        workflow.set_current_details(_details(case))

    @workflow.signal(description="Sent by the sweep when the booking needs attention no more. Needs no input.")
    def resolved(self) -> None:
        self._is_over = True


def _details(case: AttentionCase) -> str:
    link = f"{stripe_dashboard(case.checkout_session_id)}payments/{case.payment_intent_id}"
    page = f", [its page]({case.page_url})" if case.page_url else ""
    return table(
        {
            "Needs attention": case.reason,
            "Runbook": kind_of(case.reason),
            "Booking": f"{case.booking_status}, `{workflow_id(case.booking_id)}`{page}",
            "Payment": f"{case.payment_status}, [at Stripe]({link})" if case.payment_intent_id else None,
        }
    )
