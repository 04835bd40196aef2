"""The decision table of a booking: which decision is possible in which situation, and what it changes. No Temporal."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import compress, product

import pytest

from models.domain.actors import AbsentParty, Actor
from models.domain.decisions import Stage
from models.domain.endings import EndReason
from models.domain.messages import (
    BookingView,
    Channel,
    ContestNoShow,
    Extend,
    PaymentEvent,
    ReportNoShow,
    Reschedule,
    SettleAndRefund,
)
from models.domain.money import Money
from models.domain.payments import HoldPhase, PaymentState
from models.domain.policy import BookingPolicy
from models.domain.renewals import RenewalReason
from models.domain.session_reports import Report
from models.domain.states import BookingStatus, IllegalTransition
from tests.workflows.booking.states import (
    ACCEPTED,
    BEFORE,
    COMPLETE,
    CONTEST,
    DECISIONS,
    DOLLARS,
    DURING,
    ENDS_AT,
    HOLD_ENDS_AT,
    HOUR,
    INSTRUCTOR,
    OBJECT,
    OPERATOR,
    REPORT,
    STARTS_AT,
    STUDENT,
    TERMS,
    at,
)
from workflows.booking.decisions import Decisions
from workflows.booking.state import BookingState

CANCEL = {"cancel by student", "cancel by instructor"}
EARLY = {"settle with a reason", "refund with a reason"}
REPORTS = {"complete", "complete early", "report"}
# Where the booking is, and what is possible there while nothing special is going on.
OPEN = {
    "checkout": {*CANCEL, "release", "extend"},
    "approval": {"approve", "reject", *CANCEL, "release", "extend", "reschedule"},
    "being approved": {*CANCEL, "release"},
    "accepted": {*CANCEL, *EARLY, "release", "extend", "reschedule"},
    "begun": {"complete early", "confirm", "report", "cancel by instructor", *EARLY, "release", "extend"},
    "over": {
        "complete",
        "complete early",
        "confirm",
        "report",
        "cancel by instructor",
        *EARLY,
        "settle",
        "refund",
        "release",
        "extend",
    },
    "ending unpaid": set(),
    "ending": set(),
    "closed": set(),
}
FLAGS = ("parked", "reported", "completed", "answered", "moving")


@dataclass(frozen=True)
class Case:
    place: str
    flags: frozenset[str]

    @property
    def now(self) -> datetime:
        return {"begun": DURING, "over": ENDS_AT}.get(self.place, BEFORE)

    @property
    def possible(self) -> set[str]:
        if self.place == "closed" or "moving" in self.flags:
            return set()
        if "parked" in self.flags:
            settled = {"settle", "refund"} if self.place == "over" else set()
            return {"release", "retry"} | (EARLY | settled | self._undecided if self.place in ACCEPTED else set())
        possible = set(OPEN[self.place])
        if self.report and not self.place.startswith("ending"):
            possible -= REPORTS
            answer = {"contest"} if self.report == REPORT else {"object"}
            possible |= set() if "answered" in self.flags else answer
        return possible

    @property
    def _undecided(self) -> set[str]:
        return {"confirm"} if self.place in ("begun", "over") else set()

    @property
    def report(self) -> Report | None:
        if "reported" in self.flags:
            return REPORT
        return COMPLETE if "completed" in self.flags else None

    def state(self) -> BookingState:
        state = at(self.place)
        return replace(
            state,
            parked_because="settle_payment: test" if "parked" in self.flags else None,
            report=self.report,
            answer=CONTEST if "answered" in self.flags else None,
            is_moving="moving" in self.flags,
        )


CASES = [
    Case(place, frozenset(compress(FLAGS, flags)))
    for place, flags in product(OPEN, product((False, True), repeat=len(FLAGS)))
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join((case.place, *sorted(case.flags))))
def test_decisions_possible_in(case: Case) -> None:
    refusals = {name: Decisions(case.state()).refusal(decision, case.now) for name, decision in DECISIONS.items()}
    assert {name for name, refusal in refusals.items() if refusal is None} == case.possible
    assert all(refusal.endswith(".") for refusal in refusals.values() if refusal)


@pytest.mark.parametrize(
    ("place", "name", "status", "reason", "kept"),
    [
        ("approval", "reject", BookingStatus.REJECTED, EndReason.REJECTED, 0),
        ("approval", "cancel by student", BookingStatus.CANCELLED, EndReason.CANCELLED, 0),
        ("accepted", "cancel by instructor", BookingStatus.CANCELLED, EndReason.CANCELLED, 0),
        ("begun", "confirm", BookingStatus.COMPLETED, EndReason.COMPLETED, 100),
        ("over", "settle", BookingStatus.COMPLETED, EndReason.SETTLED_BY_OPERATOR, 100),
        ("begun", "release", BookingStatus.CANCELLED, EndReason.RELEASED_BY_OPERATOR, 0),
        ("accepted", "refund with a reason", BookingStatus.CANCELLED, EndReason.REFUNDED_BY_OPERATOR, 75),
        ("over", "refund", BookingStatus.COMPLETED, EndReason.REFUNDED_BY_OPERATOR, 75),
    ],
)
def test_a_decision_ends_the_booking(
    place: str, name: str, status: BookingStatus, reason: EndReason, kept: int
) -> None:
    state = at(place)
    Decisions(state).apply(DECISIONS[name].model_copy(update={"channel": Channel.API}), Case(place, frozenset()).now)
    ending = state.decided_ending
    assert (ending.booking, ending.reason, ending.split.kept) == (status, reason, DOLLARS[kept])
    assert ending.actor == DECISIONS[name].actor
    assert state.ended_by is not None
    assert state.ended_by.channel is Channel.API


@pytest.mark.parametrize("place", ["checkout", "approval", "accepted", "over"])
def test_an_end_that_is_decided_is_not_decided_again_in_the_same_workflow_task(place: str) -> None:
    state = at(place)
    now = Case(place, frozenset()).now
    Decisions(state).apply(DECISIONS["release"], now)
    assert {Decisions(state).refusal(decision, now) for decision in DECISIONS.values()} == {
        "A decision on this booking is being carried out."
    }


def test_a_late_cancellation_keeps_what_the_policy_says() -> None:
    state = at("accepted")
    Decisions(state).apply(DECISIONS["cancel by student"], STARTS_AT - 5 * HOUR)
    assert state.decided_ending.split.kept == DOLLARS[50]


def test_an_approval_is_kept_until_the_workflow_acts_on_it() -> None:
    state = at("approval")
    Decisions(state).apply(DECISIONS["approve"], BEFORE)
    assert state.approval == DECISIONS["approve"]
    assert state.stage is Stage.APPROVAL
    assert Decisions(state).refusal(DECISIONS["reject"], BEFORE)


def test_an_extension_moves_the_deadline() -> None:
    state = at("checkout")
    Decisions(state).apply(DECISIONS["extend"], BEFORE)
    assert state.deadline == DURING + 2 * HOUR


@pytest.mark.parametrize("until", [BEFORE, DURING + 4 * HOUR], ids=["in the past", "beyond the latest deadline"])
def test_an_extension_is_refused(until: datetime) -> None:
    assert Decisions(at("checkout")).refusal(Extend(actor=OPERATOR, until=until), BEFORE)


def test_a_report_can_be_contested_within_the_window() -> None:
    state = at("begun")
    Decisions(state).apply(REPORT, DURING)
    assert state.report == REPORT
    assert state.ending is None
    assert state.deadline == DURING + 24 * HOUR
    Decisions(state).apply(CONTEST, DURING)
    assert state.answer == CONTEST
    assert state.deadline == ENDS_AT


def test_a_completion_can_be_objected_to_within_the_window() -> None:
    state = at("over")
    Decisions(state).apply(COMPLETE, ENDS_AT)
    assert (state.report, state.ending, state.deadline) == (COMPLETE, None, ENDS_AT + 12 * HOUR)
    Decisions(state).apply(OBJECT, ENDS_AT + HOUR)
    assert (state.answer, state.deadline) == (OBJECT, ENDS_AT + HOUR)


@pytest.mark.parametrize(
    ("report", "status", "kept"),
    [
        (ReportNoShow(actor=INSTRUCTOR, absent=AbsentParty.INSTRUCTOR), BookingStatus.CANCELLED, 0),
        (ReportNoShow(actor=STUDENT, absent=AbsentParty.STUDENT), BookingStatus.CANCELLED, 100),
        (ReportNoShow(actor=OPERATOR, absent=AbsentParty.STUDENT), BookingStatus.NO_SHOW, 100),
    ],
    ids=["the instructor's own absence", "the student's own absence", "by an operator"],
)
def test_a_report_that_nobody_can_contest_ends_the_booking(
    report: ReportNoShow, status: BookingStatus, kept: int
) -> None:
    state = at("begun")
    Decisions(state).apply(report, DURING)
    assert (state.decided_ending.booking, state.decided_ending.split.kept) == (status, DOLLARS[kept])


def test_nobody_is_reported_absent_before_the_other_side_has_waited() -> None:
    early = STARTS_AT + timedelta(minutes=9)
    assert Decisions(at("begun")).refusal(REPORT, early)
    own = ReportNoShow(actor=STUDENT, absent=AbsentParty.STUDENT)
    assert Decisions(at("begun")).refusal(own, early) is None
    short = replace(at("begun"), terms=TERMS.model_copy(update={"ends_at": STARTS_AT + timedelta(minutes=5)}))
    assert Decisions(short).refusal(REPORT, STARTS_AT + timedelta(minutes=5)) is None


@pytest.mark.parametrize("report", [REPORT, COMPLETE])
def test_an_answer_is_awaited_until_the_sessions_end_and_within_the_hold(report: Report) -> None:
    state = replace(at("over"), hold_ends_at=ENDS_AT + 8 * HOUR)
    Decisions(state).apply(report, ENDS_AT)
    assert state.deadline == ENDS_AT + 2 * HOUR
    without_window = replace(at("begun"), terms=TERMS.model_copy(update={"policy": BookingPolicy()}))
    Decisions(without_window).apply(report, DURING)
    assert without_window.deadline == ENDS_AT


def test_no_deadline_of_a_session_is_moved_before_its_end() -> None:
    assert Decisions(at("begun")).refusal(Extend(actor=OPERATOR, until=ENDS_AT - timedelta(minutes=1)), DURING)


def test_a_refund_must_be_in_the_steps_of_its_currency() -> None:
    dinars = TERMS.model_copy(update={"price": Money(amount_minor=10_000, currency="kwd")})
    refund = SettleAndRefund(actor=OPERATOR, amount=Money(amount_minor=1_235, currency="kwd"))
    assert Decisions(replace(at("over"), terms=dinars)).refusal(refund, ENDS_AT)


def test_a_refund_leaves_nothing_or_what_stripe_can_capture() -> None:
    state = at("over")
    for refund_minor, is_possible in ((9_950, True), (9_951, False), (10_000, True)):
        refund = SettleAndRefund(actor=OPERATOR, amount=Money(amount_minor=refund_minor, currency="usd"))
        assert (Decisions(state).refusal(refund, ENDS_AT) is None) is is_possible


@pytest.mark.parametrize("actor", [INSTRUCTOR, OPERATOR], ids=["the reporter", "an operator"])
def test_only_the_accused_can_contest(actor: Actor) -> None:
    state = replace(at("begun"), report=REPORT)
    assert Decisions(state).refusal(ContestNoShow(actor=actor), DURING)


def test_a_decision_on_a_parked_booking_unparks_it() -> None:
    for name in ("retry", "settle"):
        state = replace(at("over"), parked_because="settle_payment: test")
        Decisions(state).apply(DECISIONS[name], DURING)
        assert not state.is_parked


def test_a_booking_that_is_cancelled_while_parked_is_in_its_next_round() -> None:
    """No money moves in a round whose step has failed."""
    state = replace(at("over"), parked_because="settle_payment: test")
    state.begin_ending(at("ending").decided_ending)
    assert (state.operator_round, state.is_parked) == (1, False)


def test_a_move_takes_slot_times_and_deadlines_along() -> None:
    for place in ("approval", "accepted"):
        state, to = at(place), DECISIONS["reschedule"]
        assert isinstance(to, Reschedule)
        Decisions(state).apply(to, BEFORE)
        assert state.is_moving
        deadline = state.deadline_after(to)
        state.moved(to, deadline, BEFORE)
        assert (state.terms.slot_id, state.terms.starts_at, state.deadline) == (to.slot_id, to.starts_at, deadline)
        assert deadline <= to.starts_at if place == "approval" else deadline == to.ends_at + 24 * HOUR


def test_deadlines_follow_the_stages_and_end_within_the_hold() -> None:
    state = at("checkout")
    payment = PaymentState(phase=HoldPhase.HELD, hold_ends_at=STARTS_AT + 20 * HOUR)
    assert state.authorized(payment, BEFORE)
    assert (state.stage, state.deadline) == (Stage.APPROVAL, BEFORE + 24 * HOUR)
    state.approved()
    assert (state.stage, state.deadline) == (Stage.SESSION, STARTS_AT + 14 * HOUR)
    assert state.latest_deadline == STARTS_AT + 14 * HOUR


def test_a_hold_that_ends_before_the_session_can_be_completed_is_paid_again_before_it() -> None:
    state = at("checkout")
    state.authorized(PaymentState(phase=HoldPhase.HELD, hold_ends_at=STARTS_AT + 6 * HOUR), BEFORE)
    assert state.wanted_renewal(BEFORE) is None  # The instructor decides first.
    state.approved()
    renewal = state.wanted_renewal(BEFORE)
    assert renewal is not None
    assert (renewal.reason, renewal.amount) == (RenewalReason.HOLD_TOO_SHORT, state.terms.price)
    assert BEFORE < renewal.pay_by <= STARTS_AT
    assert not renewal.is_final


def test_a_session_that_an_operator_settles_early_on_a_lapsed_hold_is_finally_paid() -> None:
    state = at("accepted")
    state.renewal.hold_lapsed = True
    before = state.wanted_renewal(BEFORE)
    Decisions(state).apply(DECISIONS["settle"], BEFORE)
    late = state.late_payment(BEFORE)
    assert before is not None
    assert late is not None
    assert (before.amount, before.is_final) == (state.terms.price, False)
    assert (late.amount, late.is_final) == (state.terms.price, True)


def test_a_repeated_event_is_no_reason_to_look() -> None:
    state, event = at("approval"), PaymentEvent(event_id="evt_1", type="payment_intent.canceled")
    state.on_payment_event(event)
    assert state.event_pending
    state.event_pending = False
    state.on_payment_event(event)
    assert not state.event_pending


def test_a_step_is_retried_until_the_hold_ends_and_for_a_day_at_least() -> None:
    state = at("begun")
    assert state.step_budget(DURING) == DURING + 24 * HOUR
    state.payment = PaymentState(phase=HoldPhase.HELD, hold_ends_at=HOLD_ENDS_AT)
    assert state.step_budget(DURING) == HOLD_ENDS_AT


def test_a_state_that_the_table_does_not_have_is_refused() -> None:
    with pytest.raises(IllegalTransition):
        at("checkout").reach(booking=BookingStatus.COMPLETED)


def test_a_deleted_booking_request_has_no_status() -> None:
    unpaid = replace(at("checkout"), terms=TERMS)
    unpaid.begin_ending(at("ending").decided_ending.model_copy(update={"booking": None}))
    unpaid.close()
    unpaid.reach()
    assert unpaid.view == BookingView(booking_status=None, end_reason=EndReason.RELEASED_BY_OPERATOR)
