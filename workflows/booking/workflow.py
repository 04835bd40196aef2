"""The saga of one booking: reserve the slot, secure the payment, wait for approval, wait for the session, settle.

| step | undone by |
| --- | --- |
| reserve the slot | deleting the booking request |
| secure the payment on Checkout | releasing it: expire the page, cancel the hold, refund what was captured |
| settle | refunding it |

However a booking ends, it ends in one place, `_end`: what its `Ending` keeps is settled, the rest goes back, and the
outcome is recorded. Cancelling the workflow in Temporal ends it the same way, with nothing kept.

What has been decided is in `state.py`, the updates and signals are in `handlers.py`, waiting and parking in
`progress.py`. Which decision is possible when is a table of the domain, `models/domain/decisions.py`.
"""

from collections.abc import Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.booking.payments import PaymentActivities
    from activities.booking.records import RecordActivities
    from models.domain import endings, policy, session_reports
    from models.domain.actors import PLATFORM
    from models.domain.endings import Ending, EndReason
    from models.domain.messages import (
        OPEN_CHECKOUT,
        BookingView,
        Checkout,
        Complete,
        HoldPhase,
        PaymentState,
        RecordAcceptance,
        RecordAuthorization,
        RecordCheckout,
        RecordEnding,
        Refusal,
        ReserveSlot,
        SecurePayment,
        SettlePayment,
    )
    from models.domain.rationing import LimitReached
    from models.domain.session_reports import JudgeSession, RecordAnswer, RecordReport, Report, Verdict
    from models.domain.states import BookingStatus, PaymentStatus, SessionStatus
    from workflows.activity_calls import HoldLost, call_stripe, persist, persist_decision
    from workflows.booking.handlers import BookingHandlers
    from workflows.booking.progress import EndedByOperator


class _CheckoutRefused(Exception):
    """Stripe does not create a Checkout Session for this booking."""


@workflow.defn(name="Booking")
class BookingWorkflow(BookingHandlers):
    @workflow.init
    def __init__(self, order: ReserveSlot) -> None:
        super().__init__(order)

    @workflow.run
    async def run(self, order: ReserveSlot) -> BookingView:
        state = self._state
        try:
            ending = await self._run_stages(order)
            if ending is not None:
                await self._end(ending)
        except BaseException as error:
            if not is_cancelled_exception(error):
                raise
            if not state.is_closed:
                await self._end(endings.cancelled(state.terms, PLATFORM, workflow.now(), state.is_accepted))
                await workflow.wait_condition(workflow.all_handlers_finished)
                raise
        await workflow.wait_condition(workflow.all_handlers_finished)
        return state.view

    @workflow.update(name=OPEN_CHECKOUT)
    async def open_checkout(self) -> Checkout:
        """Answered once the student can pay; a booking is started with this update."""
        state = self._state
        await workflow.wait_condition(lambda: state.checkout is not None or state.is_closed)
        if state.checkout is not None:
            return state.checkout
        if state.ending is None:
            if state.limit_reached is not None:
                sentence = f"The student has reached a limit: {state.limit_reached.limit}."
                raise ApplicationError(sentence, state.limit_reached, type=Refusal.LIMIT_REACHED)
            raise ApplicationError("The slot has just been taken or withdrawn.", type=Refusal.SLOT_TAKEN)
        raise ApplicationError("The payment could not be started.", type=Refusal.CHECKOUT_REFUSED)

    async def _reserve(self, order: ReserveSlot) -> None:
        """Reserve the slot, or close the booking if somebody else has it or the student has reached a limit."""
        match await persist(RecordActivities.reserve_slot, order):
            case True:
                self._state.reach(booking=BookingStatus.PENDING)
            case False:
                self._state.close()
            case LimitReached() as reached:
                self._state.limit_reached = reached
                self._state.close()
        self._progress.set_details()

    async def _run_stages(self, order: ReserveSlot) -> Ending | None:
        """Payment, approval, session. The first stage that returns an ending is the last; `None`: nothing is booked."""
        try:
            await self._progress.run_or_park(lambda: self._reserve(order))
            if self._state.is_closed:
                return None
            return await self._await_payment(order) or await self._await_approval() or await self._await_session()
        except EndedByOperator:
            return self._state.decided_ending

    async def _await_payment(self, order: ReserveSlot) -> Ending | None:
        """The student pays on Checkout. No ending if Stripe holds the money."""
        state = self._state
        page_ends_at = policy.checkout_page_ends(order.booked_at, order.checkout_deadline_at)
        state.latest_deadline = min(page_ends_at, state.terms.starts_at)
        request = SecurePayment(terms=state.terms, expires_at=page_ends_at)
        try:
            await self._progress.run_or_park(lambda: self._secure(request))
        except _CheckoutRefused:
            return endings.unpaid(state.terms, EndReason.CHECKOUT_REFUSED)
        while True:
            in_time = await self._progress.wait_for(lambda: state.event_pending)
            if state.ending:
                return state.ending
            payment = await self._progress.run_or_park(self._look_up)
            if payment.phase is HoldPhase.HELD:
                return await self._authorize(payment)
            if not in_time or payment.phase is not HoldPhase.OPEN:
                reason = EndReason.CARD_DECLINED if payment.decline_code else EndReason.CHECKOUT_EXPIRED
                return endings.unpaid(state.terms, reason, payment.decline_code, payment.advice_code)
            if payment.decline_code:
                grace = state.terms.policy.deadlines.decline_grace
                state.deadline = min(state.deadline, workflow.now() + grace)

    async def _authorize(self, payment: PaymentState) -> Ending | None:
        """Stripe holds the money. The booking ends here only if the hold is too short for the session."""
        state, now = self._state, workflow.now()
        if not state.authorized(payment, now):
            return endings.unpaid(state.terms, EndReason.HOLD_TOO_SHORT)
        record = RecordAuthorization(
            terms=state.terms, payment=payment, authorized_at=now, approval_deadline_at=state.deadline
        )
        await self._progress.run_or_park(lambda: persist(RecordActivities.record_authorization, record))
        self._progress.publish_status(payment=PaymentStatus.PENDING)
        return None

    async def _await_approval(self) -> Ending | None:
        """The instructor decides. No ending if they approve."""
        state = self._state
        await self._wait_while_held(lambda: state.approval is not None)
        if state.ending or state.approval is None:
            return state.ending or endings.approval_timed_out(state.terms)
        state.approved()
        record = RecordAcceptance(
            terms=state.terms, decision=state.approval, completion_deadline_at=state.deadline, at=workflow.now()
        )
        await self._progress.run_or_park(lambda: persist_decision(RecordActivities.record_acceptance, record))
        self._progress.publish_status(booking=BookingStatus.ACCEPTED, session=SessionStatus.SCHEDULED)
        return None

    async def _await_session(self) -> Ending:
        """One side reports how the session went, or nobody does by the deadline."""
        state = self._state
        await self._wait_while_held(lambda: state.report is not None)
        if state.ending is None and state.report is not None:
            return await self._await_answer(state.report)
        return state.ending or await self._time_out()

    async def _await_answer(self, report: Report) -> Ending:
        """The other side can answer the report. A completion that the meeting's record shows needs no answer."""
        state = self._state
        is_completion = isinstance(report, Complete)
        if is_completion and await self._progress.run_or_park(self._judge_decision) is Verdict.TOOK_PLACE:
            return state.ending or endings.completed(state.terms, report.actor)
        await self._progress.run_or_park(self._record_report)
        state.awaits_answer = state.deadline > workflow.now()
        self._progress.publish_status(session=SessionStatus.COMPLETION_REPORTED if is_completion else None)
        await self._wait_while_held(lambda: state.answer is not None)
        if state.ending is None and state.answer is not None:
            await self._progress.run_or_park(self._record_answer)
            state.is_answer_recorded = True
            self._progress.publish_status()
            await self._wait_while_held(lambda: False)
        return state.ending or await self._judge_report(report)

    async def _judge_report(self, report: Report) -> Ending:
        """The meeting's record decides clear cases, an operator the others; without either, the completion timeout."""
        state = self._state
        while True:
            verdict = await self._progress.run_or_park(self._judge)
            if ending := state.ending or session_reports.ending_after(verdict, report, state.answer, state.terms):
                return ending
            await self._progress.park(session_reports.UNDECIDED, until=state.latest_deadline)
            if state.retry is None:
                return await self._time_out()

    async def _time_out(self) -> Ending:
        state = self._state
        verdict = await self._progress.run_or_park(self._judge)
        return state.ending or session_reports.ending_on_timeout(verdict, state.terms)

    async def _wait_while_held(self, decided: Callable[[], bool]) -> None:
        """Wait for a decision or the deadline, and look at the hold whenever Stripe sends an event."""
        state = self._state
        while await self._progress.wait_for(lambda: decided() or state.event_pending):
            if decided() or state.ending:
                return
            await self._progress.run_or_park(self._check_hold)

    async def _end(self, ending: Ending) -> None:
        """Move the money as the ending says, then record how the booking ended."""
        state = self._state
        if not state.is_reserved:
            state.ending = ending
            state.close()
            self._progress.publish_status()
            return
        state.begin_ending(ending)
        while True:
            try:
                move = self._settle if state.decided_ending.split.kept else self._release
                state.payment = await self._progress.run_or_park(move)
                await self._progress.run_or_park(self._record_ending)
                return
            except EndedByOperator:
                continue

    async def _record_ending(self) -> None:
        state = self._state
        ending, payment = state.decided_ending, state.payment
        was_held = payment is not None and payment.was_held
        record = RecordEnding(
            terms=state.terms, ending=ending, channel=state.ended_through, payment=payment, at=workflow.now()
        )
        await persist(RecordActivities.record_ending, record)
        state.close()
        if ending.booking and was_held and state.view.payment_status is None:
            # The payment was made and the booking ended before Stripe's event arrived.
            self._progress.publish_status(payment=PaymentStatus.PENDING)
        self._progress.publish_status(
            booking=ending.booking,
            session=ending.session if state.view.session_status else None,
            payment=endings.payment_after(state.terms, ending, was_held),
        )

    async def _secure(self, request: SecurePayment) -> None:
        """Raises `_CheckoutRefused`. The checkout is known before it is recorded, so that it can be released."""
        state = self._state
        if state.checkout is None:
            try:
                state.checkout = await call_stripe(PaymentActivities.secure_payment, request, until=state.deadline)
            except ActivityError as failure:
                raise _CheckoutRefused from failure
        record = RecordCheckout(
            booking_id=state.terms.booking_id,
            student_id=state.terms.student_id,
            checkout=state.checkout,
            at=workflow.now(),
        )
        await persist(RecordActivities.record_checkout, record)
        self._progress.set_details()

    async def _look_up(self) -> PaymentState:
        state = self._state
        state.event_pending = False
        budget = state.step_budget(workflow.now())
        state.payment = await call_stripe(PaymentActivities.look_up_payment, state.payment_ref, budget)
        return state.payment

    async def _check_hold(self) -> None:
        if (await self._look_up()).phase is not HoldPhase.HELD:
            raise HoldLost

    async def _record_report(self) -> None:
        state, report = self._state, self._state.report
        assert report is not None
        record = RecordReport(
            booking_id=state.terms.booking_id,
            actor=report.actor,
            channel=report.channel,
            absent=None if isinstance(report, Complete) else report.absent,
            answer_until=state.deadline,
            at=workflow.now(),
        )
        await persist_decision(RecordActivities.record_session_report, record)

    async def _record_answer(self) -> None:
        state, answer = self._state, self._state.answer
        assert answer is not None
        record = RecordAnswer(
            booking_id=state.terms.booking_id,
            actor=answer.actor,
            channel=answer.channel,
            judged_at=state.deadline,
            at=workflow.now(),
        )
        await persist_decision(RecordActivities.record_session_answer, record)

    async def _judge(self) -> Verdict:
        """At a deadline."""
        return await persist(RecordActivities.judge_session, JudgeSession(terms=self._state.terms, at=workflow.now()))

    async def _judge_decision(self) -> Verdict:
        """When a completion is reported: the verdict is a write, too."""
        record = JudgeSession(terms=self._state.terms, at=workflow.now())
        return await persist_decision(RecordActivities.judge_session, record)

    async def _settle(self) -> PaymentState:
        state = self._state
        request = SettlePayment(ref=state.payment_ref, split=state.decided_ending.split)
        return await call_stripe(PaymentActivities.settle_payment, request, state.step_budget(workflow.now()))

    async def _release(self) -> PaymentState:
        state = self._state
        return await call_stripe(
            PaymentActivities.release_payment, state.payment_ref, state.step_budget(workflow.now())
        )
