"""The steps of the saga: one activity each, with its message made from the booking's state.

They run through `Progress.run_or_park`, so each can be repeated.
"""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.booking.payments import PaymentActivities
    from activities.booking.records import RecordActivities
    from models.domain import endings
    from models.domain.messages import (
        Channel,
        Complete,
        RecordCheckout,
        RecordEnding,
        RecordProcessing,
    )
    from models.domain.payment_plans import DELAYED_CONFIRMATION
    from models.domain.payments import (
        PAYMENT_PROCESSING,
        HoldPhase,
        PaymentState,
        SecurePayment,
        SettlePayment,
    )
    from models.domain.policy import PaymentPlan
    from models.domain.session_reports import JudgeSession, RecordAnswer, RecordReport, Verdict
    from models.domain.states import PaymentStatus
    from workflows.activity_calls import HoldLost, call_stripe, is_declined, persist, persist_decision
    from workflows.booking.progress import Progress
    from workflows.booking.renewals import RENEWALS
    from workflows.booking.state import BookingState

_PROCESSING_INTERVAL = timedelta(days=1)
"""How often a payment that Stripe is processing is looked up, in case its event was lost."""


class CheckoutRefused(Exception):
    """Stripe does not create a Checkout Session for this booking."""


class HoldLapsed(Exception):
    """Stripe no longer holds the money. The student is asked to pay again."""


class Steps:
    def __init__(self, state: BookingState, progress: Progress) -> None:
        self._state = state
        self._progress = progress

    async def record_ending(self) -> None:
        state = self._state
        ending, payment = state.decided_ending, state.payment
        was_held = payment is not None and payment.was_held
        record = RecordEnding(
            terms=state.terms,
            ending=ending,
            channel=state.ended_by.channel if state.ended_by else Channel.WORKFLOW,
            payment=payment,
            at=workflow.now(),
        )
        recorded = await persist(RecordActivities.record_ending, record)
        if recorded is not None:
            # An earlier attempt of this workflow task had recorded another ending, and was lost.
            await self._progress.resume(recorded)
            return
        state.close()
        if ending.booking and was_held and state.view.payment_status is None:
            # The payment was made and the booking ended before Stripe's event arrived.
            self._progress.publish_status(payment=PaymentStatus.PENDING)
        self._progress.publish_status(
            booking=ending.booking,
            session=ending.session if state.view.session_status else None,
            payment=endings.payment_after(state.terms, ending, was_held),
        )

    async def secure(self, request: SecurePayment) -> None:
        """Raises `CheckoutRefused`. The checkout is known before it is recorded, so that it can be released."""
        state = self._state
        if state.checkout is None:
            try:
                state.checkout = await call_stripe(PaymentActivities.secure_payment, request, until=state.deadline)
            except ActivityError as failure:
                raise CheckoutRefused from failure
        record = RecordCheckout(
            booking_id=state.terms.booking_id,
            student_id=state.terms.student_id,
            checkout=state.checkout,
            at=workflow.now(),
        )
        await persist(RecordActivities.record_checkout, record)
        self._progress.set_details()

    async def look_up(self) -> PaymentState:
        state = self._state
        state.event_pending = False
        budget = state.step_budget(workflow.now())
        state.payment = await call_stripe(PaymentActivities.look_up_payment, state.payment_ref, budget)
        return state.payment

    async def check_hold(self) -> None:
        """Raises `HoldLapsed`, or `HoldLost` if there is nothing that the student could pay again."""
        if self._state.renewal.hold_lapsed:
            self._state.event_pending = False
            return
        payment = await self.look_up()
        # What was captured in Stripe's dashboard is put right when the booking ends.
        is_captured = payment.phase is HoldPhase.CAPTURED and not payment.is_returned
        if payment.phase is HoldPhase.HELD or is_captured:
            return
        raise HoldLapsed if self._can_be_renewed(payment) else HoldLost

    def _can_be_renewed(self, payment: PaymentState) -> bool:
        is_hold = self._state.terms.plan is PaymentPlan.HOLD
        return is_hold and payment.phase is HoldPhase.GONE and workflow.patched(RENEWALS)

    async def record_report(self) -> None:
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

    async def record_answer(self) -> None:
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

    async def judge(self) -> Verdict:
        """At a deadline."""
        return await persist(RecordActivities.judge_session, JudgeSession(terms=self._state.terms, at=workflow.now()))

    async def judge_decision(self) -> Verdict:
        """When a completion is reported: the verdict is a write, too."""
        record = JudgeSession(terms=self._state.terms, at=workflow.now())
        return await persist_decision(RecordActivities.judge_session, record)

    async def settle(self) -> PaymentState:
        state = self._state
        request = SettlePayment(
            ref=state.payment_ref,
            split=state.decided_ending.split,
            stripe_account_id=state.terms.stripe_account_id,
        )
        try:
            return await call_stripe(PaymentActivities.settle_payment, request, state.step_budget(workflow.now()))
        except ActivityError as failure:
            is_hold = state.terms.plan is PaymentPlan.HOLD
            may_be_gone = is_hold and is_declined(failure) and workflow.patched(RENEWALS)
            if may_be_gone and self._can_be_renewed(await self.look_up()):
                raise HoldLapsed from failure
            raise

    async def release(self) -> PaymentState:
        """Waits for the outcome of a payment that Stripe is still processing, as long as that can take."""
        state, until = self._state, workflow.now() + DELAYED_CONFIRMATION
        while True:
            try:
                return await call_stripe(
                    PaymentActivities.release_payment, state.payment_ref, state.step_budget(workflow.now())
                )
            except ActivityError as failure:
                if not is_declined(failure, PAYMENT_PROCESSING) or workflow.now() >= until:
                    raise
            await self._progress.wait_for_event(_PROCESSING_INTERVAL)
            await self.look_up()

    async def record_processing(self) -> None:
        """The student has paid with a method that takes days to confirm. Until then, the slot stays reserved."""
        state = self._state
        state.deadline = state.latest_deadline = state.processing_deadline
        record = RecordProcessing(booking_id=state.terms.booking_id, until=state.deadline, at=workflow.now())
        await persist(RecordActivities.record_processing, record)
        self._progress.publish_status()
