"""The saga of one booking: reserve the slot, secure the payment, wait for the decision, wait for the session, settle.

| step | undone by |
| --- | --- |
| reserve the slot | deleting the booking request |
| secure the payment on Checkout | releasing it: expire the page, cancel the hold, refund what was captured |
| settle | refunding it |

However a booking ends, it ends in one place, `_end`: what its `Ending` keeps is settled, the rest goes back, and the
outcome is written down. Cancelling the workflow in Temporal ends it the same way, with nothing kept.

The messages are in `doors.py`, what they may do in `decisions.py`, waiting and parking in `progress.py`, and the two
kinds of activities in `steps.py`.
"""

from collections.abc import Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.booking.payments import PaymentActivities
    from activities.booking.records import RecordActivities
    from models.domain import endings, no_shows, policy
    from models.domain.actors import PLATFORM
    from models.domain.decisions import Stage
    from models.domain.endings import Ending, EndReason
    from models.domain.messages import (
        OPEN_CHECKOUT,
        BookingView,
        Checkout,
        ContestNoShow,
        HoldPhase,
        PaymentState,
        RecordAcceptance,
        RecordAuthorization,
        RecordCheckout,
        RecordEnding,
        Refusal,
        ReportNoShow,
        ReserveSlot,
        SecurePayment,
        SettlePayment,
    )
    from models.domain.no_shows import JudgeNoShow, NoShowVerdict, RecordNoShow
    from models.domain.states import BookingStatus, PaymentStatus, SessionStatus
    from workflows.activity_calls import HoldLost, call_stripe, persist, shielded
    from workflows.booking.progress import BookingProgress, EndedByOperator


@workflow.defn(name="Booking")
class BookingWorkflow(BookingProgress):
    @workflow.init
    def __init__(self, order: ReserveSlot) -> None:
        super().__init__(order)
        self._deadlines = order.terms.policy.deadlines

    @workflow.run
    async def run(self, order: ReserveSlot) -> BookingView:
        try:
            await shielded(self._reserve(order))
            if self._stage is not Stage.CLOSED:
                await self._end(await self._live_through(order))
        except BaseException as error:
            if not is_cancelled_exception(error):
                raise
            if self._stage is not Stage.CLOSED:
                await self._end(endings.cancelled(self._terms, PLATFORM, workflow.now(), self._is_accepted))
                await workflow.wait_condition(workflow.all_handlers_finished)
                raise
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._view

    @workflow.update(name=OPEN_CHECKOUT)
    async def open_checkout(self) -> Checkout:
        """Where the student pays; a booking is started with this update."""
        await workflow.wait_condition(lambda: self._checkout is not None or self._stage is Stage.CLOSED)
        if self._checkout is not None:
            return self._checkout
        if self._ending is None:
            raise ApplicationError("The slot has just been taken or withdrawn.", type=Refusal.SLOT_TAKEN)
        raise ApplicationError("The payment could not be started.", type=Refusal.CHECKOUT_REFUSED)

    async def _live_through(self, order: ReserveSlot) -> Ending:
        """How the booking ends: by the first of the three parts of its life that ends it."""
        try:
            return await self._payment_fails(order) or await self._is_turned_down() or await self._session_ends()
        except EndedByOperator:
            return self._decided_ending

    async def _reserve(self, order: ReserveSlot) -> None:
        """The slot is this booking's, or the booking is closed before it began."""
        if await persist(RecordActivities.reserve_slot, order):
            self._view = BookingView(booking_status=BookingStatus.PENDING)
        else:
            self._stage = Stage.CLOSED
        self._describe()

    async def _payment_fails(self, order: ReserveSlot) -> Ending | None:
        """The student pays on Checkout. No ending when Stripe holds the money."""
        page_ends_at = policy.checkout_page_ends(order.booked_at, order.checkout_deadline_at)
        self._latest_deadline = min(page_ends_at, self._terms.starts_at)
        try:
            await shielded(self._secure(SecurePayment(terms=self._terms, expires_at=page_ends_at)))
        except ActivityError:
            return endings.unpaid(self._terms, EndReason.CHECKOUT_REFUSED)
        while True:
            in_time = await self._wait_for(lambda: self._news)
            if self._ending:
                return self._ending
            payment = await self._done(self._look_up)
            if payment.phase is HoldPhase.HELD:
                return await self._authorize(payment)
            if not in_time or payment.phase is not HoldPhase.OPEN:
                reason = EndReason.CARD_DECLINED if payment.decline_code else EndReason.CHECKOUT_EXPIRED
                return endings.unpaid(self._terms, reason, payment.decline_code)
            if payment.decline_code:
                self._deadline = min(self._deadline, workflow.now() + self._deadlines.decline_grace)

    async def _authorize(self, payment: PaymentState) -> Ending | None:
        """Stripe holds the money. The booking ends here only if it does not hold it for long enough."""
        now, terms = workflow.now(), self._terms
        self._hold_ends_at = payment.hold_ends_at or now + policy.HOLD_LASTS
        if policy.completion_deadline(self._deadlines, terms.ends_at, self._hold_ends_at) < terms.ends_at:
            return endings.unpaid(terms, EndReason.HOLD_TOO_SHORT)
        self._stage = Stage.APPROVAL
        self._deadline = policy.approval_deadline(self._deadlines, now, terms.starts_at, self._hold_ends_at)
        self._latest_deadline = min(terms.starts_at, self._hold_ends_at - self._deadlines.hold_margin)
        record = RecordAuthorization(
            terms=terms, payment=payment, authorized_at=now, approval_deadline_at=self._deadline
        )
        await self._done(lambda: persist(RecordActivities.record_authorization, record))
        self._show(payment=PaymentStatus.PENDING)
        return None

    async def _is_turned_down(self) -> Ending | None:
        """The instructor decides. No ending when they approve."""
        await self._wait_while_held(lambda: self._approval is not None)
        if self._ending or self._approval is None:
            return self._ending or endings.unanswered(self._terms)
        self._stage = Stage.SESSION
        self._deadline = policy.completion_deadline(self._deadlines, self._terms.ends_at, self._hold_ends_at)
        self._latest_deadline = self._hold_ends_at - self._deadlines.hold_margin
        record = RecordAcceptance(
            terms=self._terms, decision=self._approval, completion_deadline_at=self._deadline, at=workflow.now()
        )
        await self._done(lambda: persist(RecordActivities.record_acceptance, record))
        self._show(booking=BookingStatus.ACCEPTED, session=SessionStatus.SCHEDULED)
        return None

    async def _session_ends(self) -> Ending:
        """Somebody says what came of the session, or nobody does in time."""
        await self._wait_while_held(lambda: self._report is not None)
        if self._ending is None and self._report is not None:
            return await self._no_show_is_contested(self._report)
        return self._ending or endings.completion_timed_out(self._terms)

    async def _no_show_is_contested(self, report: ReportNoShow) -> Ending:
        """The other side may say that they were there. If they do not, it is as reported."""
        record = RecordNoShow(
            booking_id=self._terms.booking_id, report=report, contest_until=self._deadline, at=workflow.now()
        )
        await self._done(lambda: persist(RecordActivities.record_no_show, record))
        self._is_report_kept = True
        self._show()
        await self._wait_while_held(lambda: self._contest is not None)
        if self._ending or self._contest is None:
            return self._ending or endings.no_show(self._terms, report.absent, report.actor)
        return await self._looked_into(report, self._contest)

    async def _looked_into(self, report: ReportNoShow, contest: ContestNoShow) -> Ending:
        """The meeting's record decides clear cases, and an operator the rest; if none does, nobody said anything."""
        while True:
            found = await self._done(lambda: self._judge(report, contest))
            if ending := self._ending or no_shows.ending_after(found, report, self._terms):
                return ending
            await self._park(no_shows.UNDECIDED, until=self._latest_deadline)
            if self._retry is None:
                return endings.completion_timed_out(self._terms)

    async def _judge(self, report: ReportNoShow, contest: ContestNoShow) -> NoShowVerdict:
        look = JudgeNoShow(
            terms=self._terms,
            report=report,
            contest=contest,
            deadline_at=self._latest_deadline,
            at=workflow.now(),
        )
        return await persist(RecordActivities.judge_no_show, look)

    async def _wait_while_held(self, decided: Callable[[], bool]) -> None:
        """Wait for a decision or the deadline, and look at the hold whenever Stripe has news of it."""
        while await self._wait_for(lambda: decided() or self._news):
            if decided() or self._ending:
                return
            await self._done(self._still_held)

    async def _end(self, ending: Ending) -> None:
        """Move the money as the ending says, then write down how the booking ended."""
        self._stage, self._ending, self._parked_because = Stage.ENDING, ending, None
        while True:
            try:
                self._payment = await self._done(self._settle if self._decided_ending.split.kept else self._release)
                await self._done(self._write_ending)
                return
            except EndedByOperator:
                continue

    async def _write_ending(self) -> None:
        ending, payment = self._decided_ending, self._payment
        record = RecordEnding(
            terms=self._terms, ending=ending, channel=self._ended_through, payment=payment, at=workflow.now()
        )
        await persist(RecordActivities.record_ending, record)
        self._stage = Stage.CLOSED
        if ending.booking and payment and payment.was_held and self._view.payment_status is None:
            # Paid and ended before Stripe's news of it was heard.
            self._show(payment=PaymentStatus.PENDING)
        self._show(
            booking=ending.booking,
            session=ending.session if self._view.session_status else None,
            payment=endings.payment_after(self._terms, ending, payment is not None and payment.was_held),
        )

    @property
    def _decided_ending(self) -> Ending:
        assert self._ending is not None
        return self._ending

    async def _secure(self, request: SecurePayment) -> None:
        checkout = await call_stripe(PaymentActivities.secure_payment, request, until=self._deadline)
        record = RecordCheckout(
            booking_id=self._terms.booking_id,
            student_id=self._terms.student_id,
            checkout=checkout,
            at=workflow.now(),
        )
        await persist(RecordActivities.record_checkout, record)
        self._checkout = checkout
        self._describe()

    async def _look_up(self) -> PaymentState:
        self._news = False
        self._payment = await call_stripe(PaymentActivities.look_up_payment, self._ref, self._patience)
        return self._payment

    async def _still_held(self) -> None:
        if (await self._look_up()).phase is not HoldPhase.HELD:
            raise HoldLost

    async def _settle(self) -> PaymentState:
        request = SettlePayment(ref=self._ref, split=self._decided_ending.split)
        return await call_stripe(PaymentActivities.settle_payment, request, self._patience)

    async def _release(self) -> PaymentState:
        return await call_stripe(PaymentActivities.release_payment, self._ref, self._patience)
