"""What a booking has reached and what has been decided about it.

Plain Python without Temporal, clock or I/O: the workflow owns one `BookingState` and passes the time in, and tests
drive it directly.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self

from models.domain import policy
from models.domain.actors import PLATFORM, Actor
from models.domain.decisions import Stage
from models.domain.endings import Ending, EndReason
from models.domain.messages import (
    Approve,
    BookingView,
    Cancel,
    Decision,
    PaymentEvent,
    RecordRefusedSignal,
    RecordRenewedPayment,
    Reschedule,
    ReserveSlot,
    Retry,
)
from models.domain.payment_plans import expected_end
from models.domain.payments import Checkout, PaymentRef, PaymentState
from models.domain.policy import PaymentPlan
from models.domain.rationing import LimitReached
from models.domain.renewals import Renewal
from models.domain.resets import RecordedBooking
from models.domain.session_reports import Answer, Report
from models.domain.states import BookingStatus, PaymentStatus, SessionStatus, advance
from models.domain.terms import BookingTerms
from workflows.booking.renewal_state import RenewalState

_MIN_STEP_BUDGET = timedelta(days=1)


@dataclass
class BookingState:
    terms: BookingTerms
    deadline: datetime
    """When the current stage ends if nobody decides."""
    latest_deadline: datetime
    """How far an operator can extend `deadline`."""
    hold_ends_at: datetime
    """Until when the money that is held can be settled."""
    page_url: str | None = None
    """The booking's page for operators, if there are pages."""
    stage: Stage = Stage.CHECKOUT
    view: BookingView = field(default_factory=lambda: BookingView(booking_status=None))
    """The states reached, as callers and operators see them."""
    limit_reached: LimitReached | None = None
    """Why the slot was not reserved, if it was free."""
    checkout: Checkout | None = None
    payment: PaymentState | None = None
    """As Stripe answered last."""
    event_pending: bool = False
    """Stripe sent an event that no look-up has followed yet."""
    is_authorizing: bool = False
    """The payment is being looked up, or its authorization recorded: an approval may come before the stage changes."""
    approval: Approve | None = None
    report: Report | None = None
    """What one side says of the session, and the other can answer."""
    awaits_answer: bool = False
    """The report is recorded, and the other side has time to answer, or has answered."""
    answer: Answer | None = None
    is_report_recorded: bool = False
    is_answer_recorded: bool = False
    retry: Retry | None = None
    """Not carried out yet; `retried` has been."""
    retried: Retry | None = None
    ending: Ending | None = None
    """How the booking ends, once that is decided."""
    ended_by: Decision | None = None
    """The decision that ends the booking; `None` if a deadline or the meeting's record does."""
    closed_by: Actor | None = None
    parked_because: str | None = None
    parked_until: datetime | None = None
    """By when an operator has to decide; `None` if the booking waits for as long as it takes."""
    operator_round: int = 0
    """How many times an operator had a failed step tried again, or ended a parked booking."""
    decided_in: str | None = None
    """The id of the last decision's update."""
    carried_out: tuple[str, ...] = ()
    """The updates, before a reset, with which operators had failed steps tried again."""
    is_moving: bool = False
    renewal: RenewalState = field(default_factory=RenewalState)
    """What the student is asked to pay again, and why."""
    resumed: int = 0
    """How many times the state was replaced by what the records say."""
    refused_signal: RecordRefusedSignal | None = None
    """The last one."""
    _seen_events: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, order: ReserveSlot) -> Self:
        deadline = order.checkout_deadline_at
        return cls(
            terms=order.terms,
            deadline=deadline,
            latest_deadline=deadline,
            hold_ends_at=deadline,
            page_url=order.page_url,
        )

    @property
    def is_closed(self) -> bool:
        return self.stage is Stage.CLOSED

    @property
    def is_reserved(self) -> bool:
        return self.view.booking_status is not None

    @property
    def is_accepted(self) -> bool:
        return self.view.booking_status is BookingStatus.ACCEPTED

    @property
    def is_parked(self) -> bool:
        return self.parked_because is not None

    @property
    def decided_ending(self) -> Ending:
        assert self.ending is not None
        return self.ending

    @property
    def payment_ref(self) -> PaymentRef:
        return PaymentRef(
            booking_id=self.terms.booking_id,
            plan=self.terms.plan,
            student_id=self.terms.student_id,
            checkout_session_id=self.checkout.checkout_session_id if self.checkout else None,
            payment_intent_id=self.payment.payment_intent_id if self.payment else None,
            is_fraudulent=isinstance(self.ended_by, Cancel) and self.ended_by.is_fraudulent,
            operator_round=self.operator_round,
        )

    @property
    def next_deadline(self) -> datetime | None:
        """What the booking waits for ends then; `None` while a step runs, or an operator has no time limit."""
        if self.is_parked:
            return self.parked_until
        waits = self.stage in (Stage.CHECKOUT, Stage.APPROVAL, Stage.SESSION)
        if waits and self.renewal.request:
            return min(self.deadline, self.renewal.request.pay_by)
        return self.deadline if waits else None

    def on_payment_event(self, event: PaymentEvent | None) -> None:
        """Stripe may send an event twice; the second one is no reason to look. `None` is a person's wish to look."""
        if event is None:
            self.event_pending = True
        elif event.event_id not in self._seen_events:
            self._seen_events.add(event.event_id)
            self.event_pending = True

    def step_budget(self, now: datetime) -> datetime:
        """Until when a payment step is retried before an operator is asked: the hold's end, and a day at least."""
        is_hold = self.terms.plan is PaymentPlan.HOLD
        hold_ends_at = self.payment.hold_ends_at if self.payment and is_hold else None
        return max(hold_ends_at or now, now + _MIN_STEP_BUDGET)

    @property
    def processing_deadline(self) -> datetime:
        """By when a payment that takes days to confirm has to be confirmed."""
        return self.terms.starts_at - self.terms.policy.deadlines.renewal_lead

    def authorized(self, payment: PaymentState, now: datetime) -> PaymentState:
        """Stripe holds the money. The payment, with the end of its hold."""
        terms, deadlines = self.terms, self.terms.policy.deadlines
        self.hold_ends_at = payment.hold_ends_at or expected_end(terms.plan, deadlines, now)
        self.stage = Stage.APPROVAL
        self.deadline = policy.approval_deadline(deadlines, now, terms.starts_at, self.hold_ends_at)
        self.latest_deadline = self._latest_deadline
        return self._with_hold_end(payment)

    def _with_hold_end(self, payment: PaymentState) -> PaymentState:
        """Of a charge, it is known here only. Of a hold, it is what Stripe says."""
        if self.terms.plan is PaymentPlan.HOLD:
            return payment
        return payment.model_copy(update={"hold_ends_at": self.hold_ends_at})

    @property
    def is_hold_too_short(self) -> bool:
        """The session cannot be completed before the hold ends."""
        return policy.is_hold_too_short(self.terms.policy.deadlines, self.terms.ends_at, self.hold_ends_at)

    def wanted_renewal(self, now: datetime) -> Renewal | None:
        """Before the session: what the student has to pay again, if the hold is gone, or too short for the session."""
        terms, renewal = self.terms, self.renewal
        if terms.plan is not PaymentPlan.HOLD or now >= terms.starts_at:
            return None
        if not renewal.hold_lapsed and (self.stage is not Stage.SESSION or not self.is_hold_too_short):
            return None
        return renewal.before_session(terms, self.hold_ends_at, self._approve_by, now)

    def late_payment(self, now: datetime) -> Renewal | None:
        """At the end: what the student has to pay for a session whose hold had ended."""
        return self.renewal.late(self.terms, self.decided_ending.split.kept, now)

    @property
    def _approve_by(self) -> datetime | None:
        return self.deadline if self.stage is Stage.APPROVAL else None

    def renewed(self, paid: PaymentState, now: datetime) -> RecordRenewedPayment:
        """The booking's terms, payment and deadline once the student has paid again."""
        terms = self.terms.model_copy(update={"plan": PaymentPlan.CHARGE_THEN_TRANSFER})
        ends_at = expected_end(terms.plan, terms.policy.deadlines, now)
        deadline = self.deadline
        if self.stage is Stage.SESSION and self.report is None:
            deadline = policy.completion_deadline(terms.policy.deadlines, terms.ends_at, ends_at)
        return RecordRenewedPayment(
            terms=terms,
            payment=paid.model_copy(update={"hold_ends_at": ends_at}),
            deadline_at=None if self.stage is Stage.ENDING else deadline,
            at=now,
        )

    def go_on_with(self, renewed: RecordRenewedPayment) -> None:
        self.checkout = self.renewal.checkout(self.checkout)
        self.terms, self.payment = renewed.terms, renewed.payment
        self.hold_ends_at = renewed.payment.hold_ends_at or self.hold_ends_at
        self.deadline = renewed.deadline_at or self.deadline
        self.latest_deadline = self._latest_deadline
        self.renewal.end()

    def approved(self) -> None:
        self.stage = Stage.SESSION
        self.deadline = self._completion_deadline(self.terms.ends_at)
        self.latest_deadline = self._latest_deadline

    def deadline_after(self, to: Reschedule) -> datetime:
        if self.stage is Stage.APPROVAL:
            return min(self.deadline, to.starts_at)
        return self._completion_deadline(to.ends_at)

    def _completion_deadline(self, ends_at: datetime) -> datetime:
        """Not before the session's end: a hold that ends earlier is paid again before the session."""
        return max(ends_at, policy.completion_deadline(self.terms.policy.deadlines, ends_at, self.hold_ends_at))

    def moved(self, to: Reschedule, deadline: datetime, now: datetime) -> None:
        self.deadline = deadline
        self.terms = self.terms.model_copy(
            update={"slot_id": to.slot_id, "starts_at": to.starts_at, "ends_at": to.ends_at}
        )
        self.renewal.move(self.terms, self.hold_ends_at, self._approve_by, now)
        self.latest_deadline = self._latest_deadline

    @property
    def was_cancelled_by_platform(self) -> bool:
        """Which a cancellation of the workflow does, and a warning of fraud."""
        return self.view.end_reason is EndReason.CANCELLED and self.closed_by == PLATFORM

    def begin_ending(self, ending: Ending) -> None:
        if ending is not self.ending:
            self.ending, self.ended_by = ending, None
        if self.is_parked:
            # Cancelled while it waited for an operator: no money moves in a round whose step has failed.
            self.operator_round += 1
        self.stage, self.parked_because = Stage.ENDING, None

    def close(self) -> None:
        self.stage = Stage.CLOSED
        self.closed_by = self.ending.actor if self.ending else None

    def reach(
        self,
        booking: BookingStatus | None = None,
        session: SessionStatus | None = None,
        payment: PaymentStatus | None = None,
    ) -> None:
        """Advance the states that are passed; the others stay. Raises `IllegalTransition`."""
        before = self.view
        closed_by = self.ending if self.is_closed else None
        reached = BookingView(
            booking_status=advance(before.booking_status, booking) if booking else before.booking_status,
            session_status=advance(before.session_status, session) if session else before.session_status,
            payment_status=advance(before.payment_status, payment) if payment else before.payment_status,
            needs_attention=self.is_parked,
            end_reason=closed_by.reason if closed_by else before.end_reason,
        )
        if closed_by and closed_by.booking is None:
            reached = reached.model_copy(update={"booking_status": None})
        self.view = reached

    def resume(self, recorded: RecordedBooking) -> None:
        """Go on from the records. Decisions that they do not have are checked and applied again by their handlers."""
        self.resumed += 1
        self.stage, self.view, self.terms = recorded.stage, recorded.view, recorded.terms
        self.checkout, self.payment = recorded.checkout, recorded.payment
        self.report, self.answer, self.approval = recorded.report, recorded.answer, None
        self.is_report_recorded = self.awaits_answer = self.report is not None
        self.is_answer_recorded = self.answer is not None
        self.retry, self.ending, self.ended_by = None, recorded.parked_ending, None
        self.parked_because, self.operator_round = recorded.parked_because, recorded.operator_round
        self.carried_out = recorded.carried_out
        # Stripe may be ahead of the records.
        self.event_pending = True
        self.closed_by = recorded.ended_by
        self.renewal = RenewalState.recorded(recorded)
        self.deadline = recorded.deadline or self.deadline
        if recorded.hold_ends_at is not None:
            self.hold_ends_at = recorded.hold_ends_at
            self.latest_deadline = self._latest_deadline

    @property
    def _latest_deadline(self) -> datetime:
        last_moment_of_hold = self.hold_ends_at - self.terms.policy.deadlines.hold_margin
        return min(self.terms.starts_at, last_moment_of_hold) if self.stage is Stage.APPROVAL else last_moment_of_hold
