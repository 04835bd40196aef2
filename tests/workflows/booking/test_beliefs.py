"""In no order of joins, leaves, decisions, silences and clocks is an absent instructor paid. No Temporal.

A cancellation, a student's own confirmation and an operator's decision are not among the decisions: they count whatever
the record shows.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from models.domain.actors import AbsentParty, Actor, Role, SignUpRole
from models.domain.attendance import AttendanceKind, AttendanceReport, attendance
from models.domain.messages import (
    Approve,
    Complete,
    ContestNoShow,
    Decision,
    Object,
    ReportNoShow,
    ReserveSlot,
)
from models.domain.money import Money
from models.domain.payments import HoldPhase, PaymentState
from models.domain.policy import BookingPolicy, CompletionTimeoutPolicy, Deadlines, PaymentPlan
from models.domain.session_reports import Verdict, ending_after, ending_on_timeout, verdict
from models.domain.states import BookingStatus, PaymentStatus, SessionStatus
from models.domain.terms import BookingTerms
from workflows.booking.decisions import Decisions
from workflows.booking.state import BookingState

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
STARTS_AT = datetime(2026, 12, 3, 10, tzinfo=UTC)
ENDS_AT, BEFORE = STARTS_AT + HOUR, STARTS_AT - 30 * HOUR
ROLES = st.sampled_from(list(SignUpRole))
SETTLING = BookingPolicy(
    on_completion_timeout=CompletionTimeoutPolicy.SETTLE,
    deadlines=Deadlines(contest_window=24 * HOUR, objection_window=12 * HOUR),
)
TERMS = BookingTerms(
    booking_id=UUID(int=10),
    student_id=UUID(int=1),
    instructor_id=UUID(int=2),
    offering_id=UUID(int=11),
    slot_id=UUID(int=12),
    starts_at=STARTS_AT,
    ends_at=ENDS_AT,
    price=Money(amount_minor=10_000, currency="usd"),
    policy=SETTLING,
    plan=PaymentPlan.HOLD,
    stripe_account_id="acct_1",
)


class Session(RuleBasedStateMachine):
    """The workflow's stage of the session, step by step, on a platform that settles when nobody says anything."""

    plan = PaymentPlan.HOLD

    def __init__(self) -> None:
        super().__init__()
        self.now = STARTS_AT - 5 * MINUTE
        terms = TERMS.model_copy(update={"plan": self.plan})
        order = ReserveSlot(terms=terms, booked_at=BEFORE, checkout_deadline_at=BEFORE + HOUR)
        self.state = BookingState.of(order)
        self.state.reach(booking=BookingStatus.PENDING)
        held = PaymentState(phase=HoldPhase.HELD, hold_ends_at=STARTS_AT + timedelta(days=3))
        assert self.state.authorized(held, BEFORE)
        self.state.reach(payment=PaymentStatus.PENDING)
        Decisions(self.state).apply(Approve(actor=_actor(SignUpRole.INSTRUCTOR)), BEFORE)
        self.state.approved()
        self.state.reach(booking=BookingStatus.ACCEPTED, session=SessionStatus.SCHEDULED)
        self.sightings: list[AttendanceReport] = []
        self.record: Verdict | None = None
        """As it was judged when the booking ended."""

    @precondition(lambda self: self.state.ending is None)
    @rule(minutes=st.sampled_from([5, 10, 30, 60, 24 * 60, 48 * 60]))
    def pass_time(self, minutes: int) -> None:
        """The workflow's timers fire in their order."""
        until = self.now + minutes * MINUTE
        while self.state.ending is None and self._deadline <= until:
            self.now = max(self.now, self._deadline)
            self._on_deadline()
        if self.state.ending is None:
            self.now = until

    @precondition(lambda self: self.state.ending is None)
    @rule(role=ROLES, kind=st.sampled_from([AttendanceKind.JOINED, AttendanceKind.LEFT]), late=st.integers(0, 90))
    def report_attendance(self, role: SignUpRole, kind: AttendanceKind, late: int) -> None:
        report_id = str(len(self.sightings))
        at = self.now - late * MINUTE
        self.sightings.append(AttendanceReport(id=report_id, kind=kind, role=role, connection=role, at=at))

    @rule(is_enough=st.booleans())
    def complete(self, is_enough: bool) -> None:
        report = Complete(actor=_actor(SignUpRole.INSTRUCTOR), record_is_enough=is_enough)
        if self._decide(report) and self._judge() is Verdict.TOOK_PLACE:
            self.state.ending = ending_after(Verdict.TOOK_PLACE, report, None, self.state.terms)

    @rule(by=ROLES)
    def report_no_show(self, by: SignUpRole) -> None:
        absent = AbsentParty.INSTRUCTOR if by is SignUpRole.STUDENT else AbsentParty.STUDENT
        self._decide(ReportNoShow(actor=_actor(by), absent=absent))

    @rule(by=ROLES)
    def contest(self, by: SignUpRole) -> None:
        self._decide(ContestNoShow(actor=_actor(by)))

    @rule()
    def object(self) -> None:
        self._decide(Object(actor=_actor(SignUpRole.STUDENT)))

    @invariant()
    def nothing_is_captured_for_an_absent_instructor(self) -> None:
        if self.state.ending and self.state.ending.split.kept:
            assert self.record is not None
            assert self.record is not Verdict.INSTRUCTOR_ABSENT
            assert self.now >= ENDS_AT or self.record is Verdict.TOOK_PLACE

    @property
    def _deadline(self) -> datetime:
        return self.state.latest_deadline if self.state.is_parked else self.state.deadline

    def _decide(self, decision: Decision) -> bool:
        if self.state.ending or Decisions(self.state).refusal(decision, self.now):
            return False
        Decisions(self.state).apply(decision, self.now)
        return True

    def _on_deadline(self) -> None:
        found, report = self._judge(), self.state.report
        if report is None or self.state.is_parked:
            self.state.ending = ending_on_timeout(found, self.state.terms)
            return
        self.state.ending = ending_after(found, report, self.state.answer, self.state.terms)
        if self.state.ending is None:
            self.state.parked_because = "undecided"

    def _judge(self) -> Verdict:
        known = attendance(self.sightings, STARTS_AT, ENDS_AT, self.now)
        self.record = verdict(known, self.state.terms.policy, ENDS_AT - STARTS_AT)
        return self.record


def _actor(role: SignUpRole) -> Actor:
    return Actor(role=Role(role), id=UUID(int=1 if role is SignUpRole.STUDENT else 2))


class ChargedSession(Session):
    plan = PaymentPlan.CHARGE_THEN_TRANSFER


Session.TestCase.settings = settings(max_examples=300, stateful_step_count=20, deadline=None)
ChargedSession.TestCase.settings = settings(max_examples=150, stateful_step_count=20, deadline=None)
TestSession, TestChargedSession = Session.TestCase, ChargedSession.TestCase
