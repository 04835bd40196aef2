"""The saga of one booking: reserve the slot, secure the payment, wait for approval, wait for the session, settle.

| step | undone by |
| --- | --- |
| reserve the slot | deleting the booking request |
| secure the payment on Checkout | releasing it: expire the page, cancel the hold, refund what was charged |
| settle: capture the hold, or transfer the share of what was charged | refunding it |

However a booking ends, it ends in one place, `_end`: what its `Ending` keeps is settled, the rest goes back, and the
outcome is recorded. Cancelling the workflow in Temporal ends it the same way, with nothing kept.

What has been decided is in `state.py`, the updates and signals are in `handlers.py`, the activities in `steps.py`,
waiting and parking in `progress.py`, a payment that is made again in `renewals.py`. Which decision is possible when is
a table of the domain, `models/domain/decisions.py`. A workflow that was reset in Temporal goes on from the booking's
records.
"""

from collections.abc import Callable

from temporalio import workflow
from temporalio.exceptions import ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.booking.records import RecordActivities
    from models.domain import endings, policy, session_reports
    from models.domain.actors import PLATFORM
    from models.domain.decisions import Stage
    from models.domain.endings import Ending, EndReason
    from models.domain.messages import (
        OPEN_CHECKOUT,
        BookingView,
        Complete,
        RecordAcceptance,
        RecordAuthorization,
        Refusal,
        ReserveSlot,
    )
    from models.domain.payments import Checkout, HoldPhase, PaymentState, SecurePayment
    from models.domain.rationing import LimitReached
    from models.domain.renewals import Renewal
    from models.domain.resets import RecordedBooking
    from models.domain.session_reports import Report
    from models.domain.states import BookingStatus, PaymentStatus, SessionStatus
    from workflows.activity_calls import persist, persist_decision
    from workflows.booking.handlers import BookingHandlers
    from workflows.booking.progress import EndedByOperator, WasReset
    from workflows.booking.renewals import RENEWALS, Renewals
    from workflows.booking.steps import CheckoutRefused, HoldLapsed, Steps

SHOWN_DEADLINE = "shown-deadline"
"""The patch since which the deadline that a declined card brings forward is a search attribute."""


_STATUS_OF_REFUSED = "status-of-refused"


@workflow.defn(name="Booking")
class BookingWorkflow(BookingHandlers):
    @workflow.init
    def __init__(self, order: ReserveSlot) -> None:
        super().__init__(order)
        self._steps = Steps(self._state, self._progress)
        self._renewals = Renewals(self._state, self._progress)

    @workflow.run
    async def run(self, order: ReserveSlot) -> BookingView:
        state = self._state
        cancellation: BaseException | None = None
        while not state.is_closed:
            try:
                if self._progress.was_reset:
                    await self._progress.resume()
                elif cancellation is not None:
                    await self._end(endings.cancelled(state.terms, PLATFORM, workflow.now(), state.is_accepted))
                elif (ending := await self._run_stages(order)) is not None:
                    await self._end(ending)
            except WasReset:
                workflow.logger.warning("the workflow was reset; the booking goes on from its records")
            except BaseException as error:
                if not is_cancelled_exception(error):
                    raise
                cancellation = error
        await workflow.wait_condition(workflow.all_handlers_finished)
        if cancellation is not None and state.was_cancelled_by_platform:
            raise cancellation
        return state.view

    @workflow.update(name=OPEN_CHECKOUT, description="Waits until the student can pay. Needs no input.")
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
        if self._state.is_reserved:
            return
        info = workflow.info()
        is_reset = order.is_reset or info.run_id != info.original_execution_run_id
        order = order.model_copy(update={"is_reset": is_reset})
        match await persist(RecordActivities.reserve_slot, order):
            case RecordedBooking() as recorded:
                await self._progress.resume(recorded)
            case True:
                self._state.reach(booking=BookingStatus.PENDING)
            case False:
                self._refuse()
            case LimitReached() as reached:
                self._state.limit_reached = reached
                self._refuse()
        self._progress.set_details()

    def _refuse(self) -> None:
        """The booking never has its slot."""
        self._state.close()
        if workflow.patched(_STATUS_OF_REFUSED):
            self._progress.publish_status()

    async def _run_stages(self, order: ReserveSlot) -> Ending | None:
        """Payment, approval, session: the first stage that returns an ending is the last.

        A booking that goes on from its records starts at the stage where they have it. `None`: it is closed already.
        """
        state = self._state
        try:
            await self._progress.run_or_park(lambda: self._reserve(order))
            if state.is_closed:
                return None
            if state.parked_because and await self._is_still_undecided(state.parked_because):
                return await self._time_out()
            if state.ending is not None:
                return state.ending
            if state.stage is Stage.CHECKOUT and (unpaid := await self._await_payment(order)):
                return unpaid
            if state.stage is Stage.APPROVAL and (not_approved := await self._await_approval()):
                return not_approved
            return await self._await_session()
        except EndedByOperator:
            return state.decided_ending

    async def _is_still_undecided(self, reason: str) -> bool:
        """Wait for an operator, as before the reset. Whether none has decided in time, where the time is limited."""
        state = self._state
        is_limited = reason == session_reports.UNDECIDED
        await self._progress.park(reason, until=state.latest_deadline if is_limited else None, is_recorded=True)
        return is_limited and state.retry is None

    async def _await_payment(self, order: ReserveSlot) -> Ending | None:
        """The student pays on Checkout. No ending if Stripe holds the money."""
        state = self._state
        page_ends_at = policy.checkout_page_ends(order.booked_at, order.checkout_deadline_at)
        state.latest_deadline = min(page_ends_at, state.terms.starts_at)
        request = SecurePayment(terms=state.terms, expires_at=page_ends_at)
        try:
            await self._progress.run_or_park(lambda: self._steps.secure(request))
        except CheckoutRefused:
            return endings.unpaid(state.terms, EndReason.CHECKOUT_REFUSED)
        while True:
            in_time = await self._progress.wait_for(lambda: state.event_pending)
            if state.ending:
                return state.ending
            state.is_authorizing = True
            try:
                payment = await self._progress.run_or_park(self._steps.look_up)
                if payment.phase is HoldPhase.HELD:
                    return await self._authorize(payment)
            finally:
                state.is_authorizing = False
            if payment.phase is HoldPhase.PROCESSING and state.processing_deadline > workflow.now():
                await self._progress.run_or_park(self._steps.record_processing)
                continue
            if not in_time or payment.phase is not HoldPhase.OPEN:
                reason = EndReason.CARD_DECLINED if payment.decline_code else EndReason.CHECKOUT_EXPIRED
                return endings.unpaid(state.terms, reason, payment.decline_code, payment.advice_code)
            if payment.decline_code:
                grace = state.terms.policy.deadlines.decline_grace
                earlier = min(state.deadline, workflow.now() + grace)
                if earlier != state.deadline:
                    state.deadline = earlier
                    self._show_deadline()

    def _show_deadline(self) -> None:
        if workflow.patched(SHOWN_DEADLINE):
            self._progress.publish_status()

    async def _authorize(self, payment: PaymentState) -> Ending | None:
        """The money is secured. If the hold is too short for the session, the student pays again before it."""
        state, now = self._state, workflow.now()
        payment = state.authorized(payment, now)
        if state.is_hold_too_short and not workflow.patched(RENEWALS):
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
        if not state.is_report_recorded:
            is_completion = isinstance(report, Complete)
            if is_completion:
                found = await self._progress.run_or_park(self._steps.judge_decision)
                if shown := self._decisions.ending_at_once(found):
                    return state.ending or shown
            await self._progress.run_or_park(self._steps.record_report)
            state.is_report_recorded = True
            state.awaits_answer = state.answer is not None or state.deadline > workflow.now()
            self._progress.publish_status(session=SessionStatus.COMPLETION_REPORTED if is_completion else None)
        await self._wait_while_held(lambda: state.answer is not None)
        if state.ending is None and state.answer is not None:
            if not state.is_answer_recorded:
                await self._progress.run_or_park(self._steps.record_answer)
                state.is_answer_recorded = True
                self._progress.publish_status()
            await self._wait_while_held(lambda: False)
        return state.ending or await self._judge_report()

    async def _judge_report(self) -> Ending:
        """The meeting's record decides clear cases, an operator the others; without either, the completion timeout."""
        state = self._state
        while True:
            found = await self._progress.run_or_park(self._steps.judge)
            if ending := state.ending or self._decisions.ending_after(found):
                return ending
            await self._progress.park(session_reports.UNDECIDED, until=state.latest_deadline)
            if state.retry is None:
                return await self._time_out()

    async def _time_out(self) -> Ending:
        state = self._state
        found = await self._progress.run_or_park(self._steps.judge)
        return state.ending or self._decisions.ending_on_timeout(found)

    async def _wait_while_held(self, decided: Callable[[], bool]) -> None:
        """Wait for a decision or the deadline, and look at the hold whenever Stripe sends an event."""
        state = self._state
        while not (decided() or state.ending):
            if (renewal := state.wanted_renewal(workflow.now())) and workflow.patched(RENEWALS):
                await self._renew(renewal, decided)
            elif state.renewal.request:
                # The session was moved back to where the hold lasts.
                await self._renewals.close()
            elif not await self._progress.wait_for(
                # The session may be moved beyond the hold.
                lambda: decided() or state.event_pending or state.wanted_renewal(workflow.now()) is not None
            ):
                return
            elif state.event_pending and not (decided() or state.ending):
                await self._check_hold()

    async def _check_hold(self) -> None:
        try:
            await self._progress.run_or_park(self._steps.check_hold)
        except HoldLapsed:
            await self._progress.run_or_park(self._renewals.record_lapse)

    async def _renew(self, renewal: Renewal, decided: Callable[[], bool]) -> None:
        """Have the student pay again before the session. Without that, the booking is cancelled in time for both."""
        state, starts_at = self._state, self._state.terms.starts_at

        def is_over() -> bool:
            return decided() or state.ending is not None or state.terms.starts_at != starts_at

        if not await self._renewals.renew(renewal, is_over) and not is_over():
            state.ending = endings.not_renewed(state.terms)

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
                await self._renewals.close()
                if late := state.late_payment(workflow.now()):
                    await self._renewals.await_late_payment(late)
                move = self._steps.settle if state.decided_ending.split.kept else self._steps.release
                state.payment = await self._progress.run_or_park(move)
                await self._progress.run_or_park(self._steps.record_ending)
                return
            except HoldLapsed:
                await self._progress.run_or_park(self._renewals.record_lapse)
            except EndedByOperator:
                continue
