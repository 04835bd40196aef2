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
    from models.domain.payments import CHARGE_DISPUTED
    from models.domain.resets import LoadBooking, RecordedBooking
    from models.domain.states import BookingStatus, PaymentStatus, SessionStatus
    from workflows import search_attributes
    from workflows.activity_calls import HoldLost, persist, persist_decision, reason_of, shielded
    from workflows.booking import details
    from workflows.booking.state import BookingState

T = TypeVar("T")


class EndedByOperator(Exception):
    """An operator ended a parked booking instead of retrying its step."""


class WasReset(Exception):
    """The workflow was reset: the booking may be further than its history, so it goes on from its records."""


class Progress:
    """Its waits and steps raise `WasReset`."""

    def __init__(self, state: BookingState) -> None:
        self._state = state
        # A reset changes the seed, at the event to which the history was cut, and nothing else does.
        self._seed: int | None = workflow.random_seed()
        loop = asyncio.get_running_loop()

        def wake(seed: int) -> None:
            # The SDK checks what is waited for only if there is something to run.
            loop.call_soon(lambda: None)

        workflow.register_random_seed_callback(wake)

    @property
    def was_reset(self) -> bool:
        return self._seed != workflow.random_seed()

    def reload(self) -> None:
        """The records have changed since the booking went on from them."""
        self._seed = None

    async def resume(self, recorded: RecordedBooking | None = None) -> None:
        """Go on from the records, which are loaded unless they are given."""
        state = self._state
        while recorded is None:
            seed = workflow.random_seed()
            try:
                loading = persist(RecordActivities.load_recorded_booking, LoadBooking(terms=state.terms))
                recorded = await shielded(loading)
            except ActivityError as failure:
                workflow.logger.error("the records cannot be read: %s", reason_of(failure))
            else:
                self._seed = seed
        before = state.view
        state.resume(recorded)
        changes = search_attributes.changed(before, state.view, state.next_deadline, state.is_closed)
        moved = search_attributes.SESSION_START.value_set(state.terms.starts_at)
        workflow.upsert_search_attributes([*changes, moved])
        self.set_details()

    def check_reset(self) -> None:
        if self.was_reset:
            raise WasReset

    async def wait_for(self, condition: Callable[[], bool]) -> bool:
        """Wait until the condition holds or a decision ends the booking; False if the deadline passes first.

        An operator may extend the deadline meanwhile. A message in the same workflow task as the deadline counts.
        """
        state = self._state

        def is_decided() -> bool:
            return condition() or state.ending is not None

        self.check_reset()
        while not is_decided():
            if state.is_moving:
                # The deadline moves with the session, so it cannot pass meanwhile.
                await workflow.wait_condition(lambda: not state.is_moving or self.was_reset)
                self.check_reset()
                continue
            if (deadline := state.deadline) <= workflow.now():
                return False
            with contextlib.suppress(asyncio.TimeoutError):
                await workflow.wait_condition(
                    lambda deadline=deadline: is_decided() or state.deadline != deadline or self.was_reset,  # type: ignore[misc]
                    timeout=deadline - workflow.now(),
                    timeout_summary=f"waits for {state.stage}",
                )
            self.check_reset()
        return True

    async def wait_for_event(self, timeout: timedelta) -> None:
        """Until Stripe sends an event of the payment."""
        state = self._state
        with contextlib.suppress(asyncio.TimeoutError):
            await workflow.wait_condition(
                lambda: state.event_pending or self.was_reset, timeout=timeout, timeout_summary="waits for Stripe"
            )

    async def run_or_park(self, step: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run the step. If it fails for good, park until an operator has it retried.

        Raises `EndedByOperator` if the operator ends the booking instead.
        """
        while True:
            self.check_reset()
            try:
                result = await shielded(step())
            except (ActivityError, HoldLost) as failure:
                # A reset makes running activities fail.
                self.check_reset()
                await self.park(reason_of(failure))
            else:
                self.check_reset()
                state = self._state
                if state.retry is not None:
                    state.retried, state.retry = state.retry, None
                return result

    async def park(self, reason: str, until: datetime | None = None, is_recorded: bool = False) -> None:
        """Wait for an operator to have the step retried, for as long as it takes or until `until`.

        Raises `EndedByOperator` if the operator ends the booking instead.
        """
        state = self._state
        ending, retry = state.ending, state.retry
        state.parked_because, state.parked_until, state.decided_in = reason, until, None
        if not is_recorded:
            await self._record_attention(until)
        with contextlib.suppress(asyncio.TimeoutError):
            await workflow.wait_condition(
                lambda: (
                    state.retry is not retry
                    or state.ending is not ending
                    or self.was_reset
                    # A dispute that is won ends the wait by itself.
                    or (CHARGE_DISPUTED in reason and state.event_pending)
                ),
                timeout=max(until - workflow.now(), timedelta(0)) if until else None,
            )
        self.check_reset()
        state.parked_because = None
        state.operator_round += 1
        await self._record_attention()
        if state.ending is not ending:
            state.retry = None
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
            ending=state.ending,
            operator_round=state.operator_round,
            update_id=None if state.is_parked else state.decided_in,
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
        state = self._state
        before = state.view
        state.reach(booking, session, payment)
        workflow.upsert_search_attributes(
            search_attributes.changed(before, state.view, state.next_deadline, state.is_closed)
        )
        self.set_details()

    def set_details(self) -> None:
        """The current details of the workflow: no event in its history."""
        workflow.set_current_details(details.table(self._state))
