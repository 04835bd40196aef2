"""A dispute from its opening to its end: looked up, answered in time, its outcome recorded.

    opened ── evidence sent before the deadline ── won: the bank gives the money back
       │       (an operator may take over,     └── lost: the instructor's share is taken back, by policy
       │        send it now, or accept)
       └── an inquiry: the same, without money; one that becomes a dispute is answered again

Stripe's events are only a reason to look it up. Without one it is looked up once a week, so a lost event only costs
time.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.disputes import DisputeActivities
    from models.domain.decisions import OPERATORS_ONLY, is_operator
    from models.domain.disputes import (
        EVIDENCE_MARGIN,
        DisputeContext,
        DisputeDecision,
        DisputeEvent,
        DisputeOrder,
        DisputeRefusal,
        DisputeResponse,
        DisputeState,
        RecordDispute,
        RecordDisputeDecision,
        RecordDisputeEnd,
        RecordEvidence,
        ReverseDisputedTransfer,
        SubmitEvidence,
        after_recovery,
    )
    from models.domain.messages import Refusal
    from models.domain.states import DisputeStatus
    from workflows.activity_calls import CALL_BUDGET, call_stripe, call_stripe_until_answered, is_declined
    from workflows.attention import Attention
    from workflows.descriptions import describe, described_update

_LOOK_UP_INTERVAL = timedelta(days=7)


@workflow.defn(name="Dispute")
class DisputeWorkflow:
    @workflow.init
    def __init__(self, order: DisputeOrder) -> None:
        self._order = order
        self._state: DisputeState | None = None
        self._attention = Attention()
        self._event_pending = False
        self._answer: DisputeResponse | None = None
        self._deciding = asyncio.Lock()
        """Held while a decision is being recorded. Nothing is sent meanwhile."""
        self._is_sending = False
        """From when an answer is sent until Stripe is looked up again: it can no longer be replaced."""

    @workflow.run
    async def run(self, order: DisputeOrder) -> DisputeStatus | None:
        """`None`: the charge is no booking's, or Stripe does not know the dispute."""
        while True:
            try:
                state = await self._look_up()
            except ActivityError as failure:
                if not is_declined(failure):
                    raise
                workflow.logger.warning("Stripe does not know dispute %s", order.dispute_id)
                return None
            record = RecordDispute(state=state, at=workflow.now())
            case = await self._attention.persist_until_recorded(DisputeActivities.record_dispute, record)
            if case is None:
                return None
            self._attention.concerns(case.parties.booking_id, f"{state.amount.format()}, {state.status}")
            if self._answer is None:
                # Decided in an earlier run, which was ended from outside.
                self._answer = DisputeResponse.TAKEN_OVER if case.is_taken_over else case.ordered
            if state.is_over:
                await self._end(state, case)
                await workflow.wait_condition(workflow.all_handlers_finished)
                return state.status
            if await self._send_answer(state, case):
                continue
            await self._wait(self._next_look_up(state))

    @workflow.signal(description=describe(DisputeEvent))
    def dispute_event(self, event: DisputeEvent | None = None) -> None:
        self._event_pending = True

    @described_update(DisputeDecision)
    async def decide(self, decision: DisputeDecision) -> None:
        """An operator says what to answer."""
        async with self._deciding:
            self._check()
            self._answer = decision.answer
            update = workflow.current_update_info()
            assert update is not None
            record = RecordDisputeDecision(
                dispute_id=self._order.dispute_id, decision=decision, at=workflow.now(), order_id=update.id
            )
            await self._attention.persist_until_recorded(
                DisputeActivities.record_dispute_decision, record, is_decision=True
            )

    @decide.validator
    def _may_decide(self, decision: DisputeDecision) -> None:
        if not is_operator(decision.actor):
            raise ApplicationError(OPERATORS_ONLY, type=Refusal.NOT_POSSIBLE_NOW)
        self._check()

    def _check(self) -> None:
        is_answered = self._state is not None and self._state.status is not DisputeStatus.NEEDS_RESPONSE
        if is_answered or self._is_sending:
            raise ApplicationError("The dispute needs no answer any more.", type=DisputeRefusal.NOT_OPEN)

    async def _look_up(self) -> DisputeState:
        self._event_pending = False
        before = self._state
        self._state = await call_stripe_until_answered(DisputeActivities.look_up_dispute, self._order)
        self._is_sending = False
        is_escalated = before is not None and before.is_inquiry and not self._state.is_inquiry
        if is_escalated and self._answer is not DisputeResponse.TAKEN_OVER:
            self._answer = None
        return self._state

    async def _send_answer(self, state: DisputeState, case: DisputeContext) -> bool:
        """Send what is due to the bank; whether anything was sent. Nothing is due once an operator has taken over."""
        await workflow.wait_condition(lambda: not self._deciding.locked())
        if state.status is not DisputeStatus.NEEDS_RESPONSE or self._answer is DisputeResponse.TAKEN_OVER:
            return False
        if self._answer is None and workflow.now() < _answer_at(state):
            return False
        until = max(workflow.now(), state.respond_by or workflow.now()) + CALL_BUDGET
        self._is_sending = True
        try:
            if self._answer is DisputeResponse.ACCEPTED:
                await call_stripe(DisputeActivities.accept_dispute, self._order, until)
            else:
                evidence = SubmitEvidence(dispute_id=state.dispute_id, case=case)
                await call_stripe(DisputeActivities.submit_dispute_evidence, evidence, until)
        except ActivityError:
            # Stripe refuses our answer, so an operator has to give theirs.
            self._answer, self._is_sending = DisputeResponse.TAKEN_OVER, False
            await self._record_answer(DisputeActivities.record_refused_dispute_evidence, case)
            return False
        if self._answer is not DisputeResponse.ACCEPTED:
            await self._record_answer(DisputeActivities.record_dispute_evidence, case)
        return True

    async def _record_answer(
        self, activity: Callable[[Any, RecordEvidence], Awaitable[None]], case: DisputeContext
    ) -> None:
        record = RecordEvidence(dispute_id=self._order.dispute_id, case=case, at=workflow.now())
        await self._attention.persist_until_recorded(activity, record)

    def _next_look_up(self, state: DisputeState) -> datetime:
        week = workflow.now() + _LOOK_UP_INTERVAL
        if state.status is not DisputeStatus.NEEDS_RESPONSE or self._answer is DisputeResponse.TAKEN_OVER:
            return week
        return min(week, _answer_at(state))

    async def _wait(self, until: datetime) -> None:
        answer = self._answer
        with contextlib.suppress(asyncio.TimeoutError):
            await workflow.wait_condition(
                lambda: self._event_pending or self._answer is not answer,
                timeout=max(until - workflow.now(), timedelta(0)),
                timeout_summary="waits for the bank",
            )

    async def _end(self, state: DisputeState, case: DisputeContext) -> None:
        borne = case.borne_if_lost
        if state.status is DisputeStatus.LOST and borne.instructor:
            wanted = ReverseDisputedTransfer(
                dispute_id=state.dispute_id, charge_id=state.charge_id, amount=borne.instructor, left=case.share_left
            )
            borne = after_recovery(
                borne, await call_stripe_until_answered(DisputeActivities.reverse_disputed_transfer, wanted)
            )
        record = RecordDisputeEnd(state=state, case=case, borne=borne, at=workflow.now())
        await self._attention.persist_until_recorded(DisputeActivities.record_dispute_end, record)


def _answer_at(state: DisputeState) -> datetime:
    """When the evidence is sent automatically: at once if Stripe sets no deadline."""
    return state.respond_by - EVIDENCE_MARGIN if state.respond_by else workflow.now()
