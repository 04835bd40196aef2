"""A payment that is made again: its hold does not last until the session, or has ended before it was settled.

    page open ── paid ── the old hold released, the booking goes on under the new plan
        │
        └── Stripe closes it within a day: another one, with a reminder, until the last moment to pay

Before the session, a booking that is not paid again is cancelled. After it, an operator decides.
"""

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.booking.payments import PaymentActivities
    from activities.booking.records import RecordActivities
    from models.domain.messages import RecordLapse, RecordRenewal, RecordRenewalClosed
    from models.domain.payments import PAID_AGAIN, HoldPhase, PaymentState, SecurePayment
    from models.domain.policy import PaymentPlan
    from models.domain.renewals import LATE_PAYMENT_MISSING, Renewal, page_ends
    from workflows.activity_calls import call_stripe, is_declined, persist
    from workflows.booking.progress import EndedByOperator, Progress
    from workflows.booking.state import BookingState

_AFTER_PAGE = timedelta(minutes=1)
RENEWALS = "renewals"
"""The patch since which a booking whose hold is too short or gone asks its student to pay again."""


class Renewals:
    def __init__(self, state: BookingState, progress: Progress) -> None:
        self._state = state
        self._progress = progress

    async def renew(self, wanted: Renewal, is_over: Callable[[], bool]) -> bool:
        """Have the student pay again. Whether they have; False once `is_over`, or if nobody has paid in time."""
        state = self._state
        if state.renewal.request is not None and state.renewal.request.checkout_session_id is not None:
            await self._progress.run_or_park(self._record)  # The session may have been moved since.
        state.renewal.request = wanted
        while not is_over():
            if state.renewal.request.checkout_session_id is None:
                await self._progress.run_or_park(self._open_page)
            await self._wait(state.renewal.request, is_over)
            if is_over():
                break
            phase = await self._use_payment()
            if phase is HoldPhase.HELD:
                return True
            if workflow.now() >= state.renewal.request.pay_by:
                break
            if phase is HoldPhase.CLOSED:
                state.renewal.request = state.renewal.request.next_page()
        return False

    async def await_late_payment(self, late: Renewal) -> None:
        """The hold ended before the session was settled: the student pays again, or an operator decides.

        Raises `EndedByOperator` if an operator does while the student can still pay.
        """
        state, ending = self._state, self._state.ending
        while not await self.renew(late, lambda: state.ending is not ending):
            await self.close()
            if state.ending is not ending:
                raise EndedByOperator
            if not state.renewal.hold_lapsed:
                return
            await self._progress.park(LATE_PAYMENT_MISSING)
            late = state.late_payment(workflow.now()) or late

    async def close(self) -> None:
        """Before the booking ends: use what was paid on the open page, or close it."""
        state = self._state
        if state.renewal.request is None or state.renewal.request.checkout_session_id is None:
            state.renewal.request = None
            return
        while await self._use_payment() is not HoldPhase.HELD:
            if await self._progress.run_or_park(self._expire_page):
                break

    async def _use_payment(self) -> HoldPhase:
        """Go on with the new payment, if it is secured."""
        paid = await self._progress.run_or_park(self._look_up)
        if paid.phase is HoldPhase.HELD:
            await self._progress.run_or_park(lambda: self._replace(paid))
        return paid.phase

    async def record_lapse(self) -> None:
        state = self._state
        if not state.renewal.hold_lapsed:
            record = RecordLapse(terms=state.terms, at=workflow.now())
            await persist(RecordActivities.record_lapse, record)
            state.renewal.hold_lapsed = True

    async def _open_page(self) -> None:
        state, now = self._state, workflow.now()
        renewal = state.renewal.open_request
        await self._record()
        request = SecurePayment(
            terms=state.terms.model_copy(update={"plan": PaymentPlan.CHARGE_THEN_TRANSFER}),
            expires_at=page_ends(now, renewal.pay_by),
            renewal=renewal,
        )
        checkout = await call_stripe(PaymentActivities.secure_payment, request, until=renewal.pay_by)
        state.renewal.request = renewal.opened(checkout.checkout_session_id, checkout.expires_at)
        state.renewal.pages = renewal.page
        self._progress.publish_status()

    async def _record(self) -> None:
        state = self._state
        record = RecordRenewal(booking_id=state.terms.booking_id, renewal=state.renewal.open_request, at=workflow.now())
        await persist(RecordActivities.record_renewal, record)

    async def _wait(self, renewal: Renewal, is_over: Callable[[], bool]) -> None:
        """Until Stripe has news of the payment, the page is closed, or it is too late to pay."""
        state, progress = self._state, self._progress
        # Stripe may close the page late.
        page_ends_at = max(renewal.page_ends_at or renewal.pay_by, workflow.now())
        until = min(renewal.pay_by, page_ends_at + _AFTER_PAGE)
        progress.check_reset()
        with contextlib.suppress(asyncio.TimeoutError):
            await workflow.wait_condition(
                lambda: progress.was_reset or (not state.is_moving and (is_over() or state.event_pending)),
                timeout=max(until - workflow.now(), timedelta(0)),
                timeout_summary="waits for the student to pay again",
            )
        progress.check_reset()
        await workflow.wait_condition(lambda: progress.was_reset or not state.is_moving)
        progress.check_reset()

    async def _look_up(self) -> PaymentState:
        state = self._state
        state.event_pending = False
        budget = state.step_budget(workflow.now())
        return await call_stripe(PaymentActivities.look_up_payment, state.renewal.ref(state.payment_ref), budget)

    async def _replace(self, paid: PaymentState) -> None:
        """Release the old hold, now that the new payment is secured, and go on with the new one."""
        state, now = self._state, workflow.now()
        await call_stripe(PaymentActivities.release_payment, state.payment_ref, state.step_budget(now))
        renewed = state.renewed(paid, now)
        await persist(RecordActivities.record_renewed_payment, renewed)
        state.go_on_with(renewed)
        self._progress.publish_status()

    async def _expire_page(self) -> bool:
        """False if the student has just paid on it."""
        state = self._state
        now = workflow.now()
        try:
            await call_stripe(
                PaymentActivities.release_payment, state.renewal.ref(state.payment_ref), state.step_budget(now)
            )
        except ActivityError as failure:
            if is_declined(failure, PAID_AGAIN):
                return False
            raise
        record = RecordRenewalClosed(booking_id=state.terms.booking_id, deadline_at=state.deadline, at=now)
        await persist(RecordActivities.record_renewal_closed, record)
        state.renewal.request = None
        self._progress.publish_status()
        return True
