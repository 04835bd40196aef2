"""How a booking waits, runs its steps, parks a step that failed for good, and publishes its status."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.booking.records import RecordActivities
    from models.domain.messages import RecordAttention
    from models.domain.states import BookingStatus, PaymentStatus, SessionStatus
    from workflows import search_attributes
    from workflows.activity_calls import HoldLost, persist, persist_decision, reason_of, shielded
    from workflows.booking.state import BookingState

T = TypeVar("T")


class EndedByOperator(Exception):
    """An operator ended a parked booking instead of retrying its step."""


class Progress:
    def __init__(self, state: BookingState) -> None:
        self._state = state

    async def wait_for(self, condition: Callable[[], bool]) -> bool:
        """Wait until the condition holds or a decision ends the booking; False if the deadline passes first.

        An operator may extend the deadline meanwhile. A message in the same workflow task as the deadline counts.
        """
        state = self._state

        def is_decided() -> bool:
            return condition() or state.ending is not None

        while not is_decided():
            if state.is_moving:
                # The deadline moves with the session, so it cannot pass meanwhile.
                await workflow.wait_condition(lambda: not state.is_moving)
                continue
            if (deadline := state.deadline) <= workflow.now():
                return False
            with contextlib.suppress(asyncio.TimeoutError):
                await workflow.wait_condition(
                    lambda deadline=deadline: is_decided() or state.deadline != deadline,  # type: ignore[misc]
                    timeout=deadline - workflow.now(),
                    timeout_summary=f"waits for {state.stage}",
                )
        return True

    async def run_or_park(self, step: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run the step. If it fails for good, park until an operator has it retried.

        Raises `EndedByOperator` if the operator ends the booking instead.
        """
        while True:
            try:
                result = await shielded(step())
            except (ActivityError, HoldLost) as failure:
                await self.park(reason_of(failure))
            else:
                self._state.retry = None
                return result

    async def park(self, reason: str, until: datetime | None = None) -> None:
        """Wait for an operator to have the step retried, for as long as it takes or until `until`.

        Raises `EndedByOperator` if the operator ends the booking instead.
        """
        state = self._state
        ending, retry = state.ending, state.retry
        state.parked_because = reason
        await self._record_attention(until)
        with contextlib.suppress(asyncio.TimeoutError):
            await workflow.wait_condition(
                lambda: state.retry is not retry or state.ending is not ending,
                timeout=max(until - workflow.now(), timedelta(0)) if until else None,
            )
        state.parked_because = None
        state.operator_round += 1
        await self._record_attention()
        if state.ending is not ending:
            raise EndedByOperator

    async def _record_attention(self, until: datetime | None = None) -> None:
        """Even if the record fails, the booking waits for an operator, and Temporal shows it."""
        state = self._state
        record = RecordAttention(
            booking_id=state.terms.booking_id,
            reason=state.parked_because,
            at=workflow.now(),
            decision=None if state.is_parked else state.retry,
            until=until,
        )
        write = persist if state.is_parked else persist_decision
        try:
            await shielded(write(RecordActivities.record_attention, record))
        except ActivityError as failure:
            workflow.logger.error("attention is not recorded: %s", reason_of(failure))
        self.publish_status()

    def publish_status(
        self,
        booking: BookingStatus | None = None,
        session: SessionStatus | None = None,
        payment: PaymentStatus | None = None,
    ) -> None:
        """Advance the states that are passed, and show all of them to callers and in the Temporal UI.

        Raises `IllegalTransition`.
        """
        before = self._state.view
        self._state.reach(booking, session, payment)
        workflow.upsert_search_attributes(
            search_attributes.changed(before, self._state.view, self._state.next_deadline)
        )
        self.set_details()

    def set_details(self) -> None:
        """The current details of the workflow: no event in its history."""
        workflow.set_current_details(self._state.details)
