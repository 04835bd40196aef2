"""How a decision is carried out: its update is answered once it is, or once the booking waits for an operator."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.booking.records import RecordActivities
    from models.domain.decisions import Stage
    from models.domain.messages import (
        Approve,
        Complete,
        ContestNoShow,
        Decision,
        Extend,
        MoveResult,
        MoveSlot,
        Object,
        RecordDeadline,
        Refusal,
        ReportNoShow,
        Reschedule,
        Retry,
    )
    from workflows import search_attributes
    from workflows.activity_calls import persist_decision, reason_of
    from workflows.booking.progress import Progress
    from workflows.booking.state import BookingState


class Outcomes:
    def __init__(self, state: BookingState, progress: Progress) -> None:
        self._state = state
        self._progress = progress
        self._one_extension = asyncio.Lock()
        """Activities that run at once end in any order, and the last extension counts."""

    async def wait_for(self, decision: Decision, before: datetime) -> None:
        """Return once the decision is carried out, or the booking is parked for an operator."""
        state = self._state
        match decision:
            case Extend():
                await self._extend(decision, before)
            case Reschedule():
                await self._move(decision)
            case Approve():
                await self._wait_until(lambda: state.is_accepted)
            case Complete() | ReportNoShow() if state.report is decision:
                await self._wait_until(lambda: state.awaits_answer)
            case ContestNoShow() | Object():
                await self._wait_until(lambda: state.is_answer_recorded and workflow.now() < state.terms.ends_at)
            case Retry():
                await self._wait_until(lambda: state.retry is not decision and state.stage is not Stage.ENDING)
            case _:
                await self._wait_until(lambda: False)

    async def _wait_until(self, carried_out: Callable[[], bool]) -> None:
        state, resumed = self._state, self._state.resumed
        await workflow.wait_condition(
            lambda: (
                carried_out()
                or state.is_closed
                or (state.is_parked and state.view.needs_attention)
                or state.resumed != resumed
            )
        )

    async def _extend(self, decision: Extend, before: datetime) -> None:
        state, resumed = self._state, self._state.resumed
        record = RecordDeadline(
            booking_id=state.terms.booking_id, decision=decision, deadline_at=decision.until, at=workflow.now()
        )
        try:
            async with self._one_extension:
                await persist_decision(RecordActivities.record_deadline, record)
        except ActivityError as failure:
            if state.deadline == decision.until:
                state.deadline = before
            raise _not_recorded(failure) from failure
        if state.resumed != resumed:
            self._progress.reload()
        self._progress.publish_status()

    async def _move(self, to: Reschedule) -> None:
        """The database decides whether the agreed slot is free."""
        state, resumed = self._state, self._state.resumed
        deadline = state.deadline_after(to)
        record = MoveSlot(booking_id=state.terms.booking_id, decision=to, deadline_at=deadline, at=workflow.now())
        try:
            result = await persist_decision(RecordActivities.move_slot, record)
        except ActivityError as failure:
            raise _not_recorded(failure) from failure
        finally:
            state.is_moving = False
        if result is MoveResult.SLOT_TAKEN:
            raise ApplicationError("The slot has just been taken or withdrawn.", type=Refusal.SLOT_TAKEN)
        if result is MoveResult.PROPOSAL_CLOSED:
            raise ApplicationError("The proposal is no longer open.", type=Refusal.NOT_POSSIBLE_NOW)
        if state.resumed != resumed:
            self._progress.reload()
            return
        state.moved(to, deadline, workflow.now())
        workflow.upsert_search_attributes([search_attributes.SESSION_START.value_set(to.starts_at)])
        self._progress.publish_status()


def _not_recorded(failure: ActivityError) -> ApplicationError:
    return ApplicationError(f"Nothing was changed: {reason_of(failure)}.", type=Refusal.NOT_POSSIBLE_NOW)
