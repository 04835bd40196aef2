"""Where a booking is and what it waits for: stage, deadline, decisions, and how it parks when a step fails for good."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.booking.records import RecordActivities
    from models.domain import no_shows, policy
    from models.domain.decisions import Situation, Stage, ending_of, refusal
    from models.domain.endings import Ending
    from models.domain.messages import (
        Approve,
        BookingView,
        Channel,
        Checkout,
        ContestNoShow,
        Decision,
        Extend,
        MoveSlot,
        PaymentEvent,
        PaymentRef,
        PaymentState,
        RecordAttention,
        RecordDeadline,
        Refusal,
        ReportNoShow,
        Reschedule,
        ReserveSlot,
        Retry,
    )
    from models.domain.states import BookingStatus, PaymentStatus, SessionStatus, advance
    from workflows import search_attributes
    from workflows.activity_calls import HoldLost, persist, reason_of, shielded
    from workflows.booking.handlers import BookingHandlers

T = TypeVar("T")

_PATIENCE = timedelta(days=1)


class EndedByOperator(Exception):
    """An operator ended a parked booking instead of having its step tried again."""


class BookingProgress(BookingHandlers):
    def __init__(self, order: ReserveSlot) -> None:
        self._terms = order.terms
        self._stage = Stage.CHECKOUT
        self._deadline = self._latest_deadline = order.checkout_deadline_at
        self._hold_ends_at = order.checkout_deadline_at
        self._view = BookingView(booking_status=None)
        self._checkout: Checkout | None = None
        self._payment: PaymentState | None = None
        self._seen_events: set[str] = set()
        self._news = False
        self._approval: Approve | None = None
        self._ending: Ending | None = None
        self._ended_through = Channel.WORKFLOW
        self._parked_because: str | None = None
        self._report: ReportNoShow | None = None
        """One that the other side may contest."""
        self._is_report_kept = False
        self._contest: ContestNoShow | None = None
        self._retry: Retry | None = None
        self._operator_round = 0
        self._is_moving = False

    @property
    def _is_accepted(self) -> bool:
        return self._view.booking_status is BookingStatus.ACCEPTED

    @property
    def _ref(self) -> PaymentRef:
        terms, checkout, payment = self._terms, self._checkout, self._payment
        return PaymentRef(
            booking_id=terms.booking_id,
            plan=terms.plan,
            student_id=terms.student_id,
            checkout_session_id=checkout.checkout_session_id if checkout else None,
            payment_intent_id=payment.payment_intent_id if payment else None,
            operator_round=self._operator_round,
        )

    @property
    def _patience(self) -> datetime:
        """How long a step about money is tried before an operator is asked: the hold's time, and a day at least."""
        a_day = workflow.now() + _PATIENCE
        hold_ends_at = self._payment.hold_ends_at if self._payment else None
        return max(hold_ends_at, a_day) if hold_ends_at else a_day

    async def _wait_for(self, condition: Callable[[], bool]) -> bool:
        """Wait until the condition holds or a decision ends the booking; False when the deadline comes first.

        An operator may move the deadline meanwhile. A message in the same task as the deadline counts.
        """

        def heard() -> bool:
            return condition() or self._ending is not None

        while not heard() and (deadline := self._deadline) > workflow.now():
            with contextlib.suppress(asyncio.TimeoutError):
                await workflow.wait_condition(
                    lambda deadline=deadline: heard() or self._deadline != deadline,  # type: ignore[misc]
                    timeout=deadline - workflow.now(),
                    timeout_summary=f"waits for {self._stage}",
                )
        return heard()

    async def _done(self, step: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Carry the step out. If it fails for good, wait for an operator: tried again, or another ending.

        Raises `EndedByOperator` in the second case.
        """
        while True:
            try:
                result = await shielded(step())
            except (ActivityError, HoldLost) as failure:
                await self._park(reason_of(failure))
            else:
                self._retry = None
                return result

    async def _park(self, reason: str, until: datetime | None = None) -> None:
        """Wait, for as long as it takes or until then, for an operator to have the step tried again.

        Raises `EndedByOperator` when they end the booking instead.
        """
        ending, retry = self._ending, self._retry
        self._parked_because = reason
        await self._mark_attention()
        with contextlib.suppress(asyncio.TimeoutError):
            await workflow.wait_condition(
                lambda: self._retry is not retry or self._ending is not ending,
                timeout=max(until - workflow.now(), timedelta(0)) if until else None,
            )
        self._parked_because = None
        self._operator_round += 1
        await self._mark_attention()
        if self._ending is not ending:
            raise EndedByOperator

    async def _mark_attention(self) -> None:
        mark = RecordAttention(
            booking_id=self._terms.booking_id,
            reason=self._parked_because,
            at=workflow.now(),
            decision=None if self._parked_because else self._retry,
        )
        await shielded(persist(RecordActivities.record_attention, mark))
        self._show()

    def _show(
        self,
        booking: BookingStatus | None = None,
        session: SessionStatus | None = None,
        payment: PaymentStatus | None = None,
    ) -> None:
        """Let callers and operators see the states reached; those not given stay. Raises `IllegalTransition`."""
        before, closed = self._view, self._ending if self._stage is Stage.CLOSED else None
        self._view = BookingView(
            booking_status=advance(before.booking_status, booking) if booking else before.booking_status,
            session_status=advance(before.session_status, session) if session else before.session_status,
            payment_status=advance(before.payment_status, payment) if payment else before.payment_status,
            needs_attention=self._parked_because is not None,
            end_reason=closed.reason if closed else None,
        )
        if closed and closed.booking is None:
            self._view = self._view.model_copy(update={"booking_status": None})
        waits = self._stage in (Stage.CHECKOUT, Stage.APPROVAL, Stage.SESSION) and self._parked_because is None
        deadline = self._deadline if waits else None
        workflow.upsert_search_attributes(search_attributes.changed(before, self._view, deadline))
        self._describe()

    def _describe(self) -> None:
        if self._parked_because:
            text = f"Needs an operator's decision: {self._parked_because}."
        elif self._stage is Stage.CLOSED:
            text = f"Closed: {self._ending.reason if self._ending else 'the slot had been taken'}."
        elif self._report:
            text = f"Waits for a no-show to be contested until {self._deadline:%Y-%m-%d %H:%M:%S} UTC."
        else:
            text = f"Waits for {self._stage} until {self._deadline:%Y-%m-%d %H:%M:%S} UTC."
        workflow.set_current_details(text)

    def _refusal(self, decision: Decision) -> str | None:
        return refusal(decision, self._situation)

    @property
    def _situation(self) -> Situation:
        stage = self._stage
        if stage is Stage.APPROVAL and self._approval:
            stage = Stage.SESSION
        if stage is not Stage.CLOSED and self._ending:
            stage = Stage.ENDING
        return Situation(
            stage=stage,
            accepted=self._is_accepted,
            parked=self._parked_because is not None,
            reported=self._report.absent if self._report else None,
            contested=self._contest is not None,
            moving=self._is_moving,
            now=workflow.now(),
            latest_deadline=self._latest_deadline,
            latest_end=policy.latest_end(self._terms.policy.deadlines, self._hold_ends_at),
            terms=self._terms,
        )

    def _take(self, decision: Decision) -> None:
        match decision:
            case Approve():
                self._approval = decision
            case Retry():
                self._retry = decision
            case Extend(until=until):
                self._deadline = until
            case Reschedule():
                self._is_moving = True
                return
            case ReportNoShow() if contest_until := self._contest_until(decision):
                self._report, self._deadline = decision, contest_until
                return
            case ContestNoShow():
                self._contest = decision
            case _:
                self._ending = ending_of(decision, self._situation)
                self._ended_through = decision.channel
        self._parked_because = None

    def _contest_until(self, report: ReportNoShow) -> datetime | None:
        return no_shows.contest_until(report, self._terms.policy, workflow.now(), self._hold_ends_at)

    async def _outcome(self, decision: Decision) -> BookingView:
        match decision:
            case Extend(until=until):
                await self._record_deadline(decision, until)
            case Reschedule():
                await self._move(decision)
            case Approve():
                await self._until(lambda: self._is_accepted)
            case ReportNoShow() if self._report is decision:
                await self._until(lambda: self._is_report_kept)
            case Retry():
                await self._until(lambda: self._retry is None and self._stage is not Stage.ENDING)
            case _:
                await self._until(lambda: False)
        return self._view

    async def _until(self, reached: Callable[[], bool]) -> None:
        def parked_and_shown() -> bool:
            return self._parked_because is not None and self._view.needs_attention

        await workflow.wait_condition(lambda: reached() or self._stage is Stage.CLOSED or parked_and_shown())

    async def _record_deadline(self, decision: Extend, until: datetime) -> None:
        record = RecordDeadline(
            booking_id=self._terms.booking_id, decision=decision, deadline_at=until, at=workflow.now()
        )
        await persist(RecordActivities.record_deadline, record)
        self._show()

    async def _move(self, to: Reschedule) -> None:
        """Move the session to the slot agreed on. The database decides whether its time is free."""
        deadline = self._deadline_after(to)
        record = MoveSlot(booking_id=self._terms.booking_id, decision=to, deadline_at=deadline, at=workflow.now())
        try:
            is_ours = await persist(RecordActivities.move_slot, record)
        finally:
            self._is_moving = False
        if not is_ours:
            raise ApplicationError("The slot has just been taken or withdrawn.", type=Refusal.SLOT_TAKEN)
        self._terms = self._terms.model_copy(
            update={"slot_id": to.slot_id, "starts_at": to.starts_at, "ends_at": to.ends_at}
        )
        if self._stage is Stage.APPROVAL:
            self._latest_deadline = min(to.starts_at, self._hold_ends_at - self._terms.policy.deadlines.hold_margin)
        self._deadline = deadline
        workflow.upsert_search_attributes([search_attributes.SESSION_START.value_set(to.starts_at)])
        self._show()

    def _deadline_after(self, to: Reschedule) -> datetime:
        if self._stage is Stage.APPROVAL:
            return min(self._deadline, to.starts_at)
        return policy.completion_deadline(self._terms.policy.deadlines, to.ends_at, self._hold_ends_at)

    def _look_at(self, event: PaymentEvent) -> None:
        """Stripe may send an event twice; the second is no news."""
        if event.event_id not in self._seen_events:
            self._seen_events.add(event.event_id)
            self._news = True
