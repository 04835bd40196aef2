"""Who takes part in a booking, what they can say of it, and who the meeting saw."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from models.domain.actors import AbsentParty, Actor, Role, SignUpRole
from models.domain.attendance import AttendanceKind, AttendanceReport, attendance
from models.domain.messages import (
    Approve,
    Cancel,
    Complete,
    Confirm,
    ContestNoShow,
    Decision,
    Object,
    Reject,
    Release,
    ReportNoShow,
    Retry,
    Settle,
    SettleAndRefund,
)
from models.domain.money import Money
from models.domain.policy import BookingPolicy, CompletionTimeoutPolicy, Deadlines, PaymentPlan
from models.domain.session_reports import Verdict, verdict
from models.domain.terms import BookingTerms

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
STARTS_AT = datetime(2026, 12, 3, 10, tzinfo=UTC)
LONG_ENOUGH = 30 * MINUTE
"""To wait for the other side, and to have been together."""
STUDENT_ID, INSTRUCTOR_ID = UUID(int=1), UUID(int=2)
STUDENT = Actor(role=Role.STUDENT, id=STUDENT_ID)
INSTRUCTOR = Actor(role=Role.INSTRUCTOR, id=INSTRUCTOR_ID)
OPERATOR = Actor(role=Role.OPERATOR, id=UUID(int=3))
PRICE, PART = Money(amount_minor=10_000, currency="usd"), Money(amount_minor=2_500, currency="usd")
DEADLINES = Deadlines(contest_window=24 * HOUR, objection_window=12 * HOUR)

UPDATES: dict[str, tuple[str, Decision]] = {
    "approve": ("approve", Approve(actor=INSTRUCTOR)),
    "reject": ("reject", Reject(actor=INSTRUCTOR)),
    "the student cancels": ("cancel", Cancel(actor=STUDENT)),
    "the instructor cancels": ("cancel", Cancel(actor=INSTRUCTOR)),
    "an operator cancels": ("cancel", Cancel(actor=OPERATOR)),
    "the instructor completes": ("complete", Complete(actor=INSTRUCTOR)),
    "the instructor completes early": ("complete", Complete(actor=INSTRUCTOR, record_is_enough=True)),
    "the student completes": ("complete", Complete(actor=STUDENT)),
    "the student confirms": ("confirm", Confirm(actor=STUDENT)),
    "the instructor confirms": ("confirm", Confirm(actor=INSTRUCTOR)),
    "the student objects": ("object", Object(actor=STUDENT)),
    "the instructor objects": ("object", Object(actor=INSTRUCTOR)),
    **{
        f"{by.role}: the {absent} did not come": ("report_no_show", ReportNoShow(actor=by, absent=absent))
        for by in (STUDENT, INSTRUCTOR, OPERATOR)
        for absent in AbsentParty
    },
    "the student contests": ("contest_no_show", ContestNoShow(actor=STUDENT)),
    "the instructor contests": ("contest_no_show", ContestNoShow(actor=INSTRUCTOR)),
    "settle": ("settle", Settle(actor=OPERATOR)),
    "settle with a reason": ("settle", Settle(actor=OPERATOR, has_reason=True)),
    "release": ("release", Release(actor=OPERATOR)),
    "refund": ("refund", SettleAndRefund(actor=OPERATOR, amount=PART)),
    "refund with a reason": ("refund", SettleAndRefund(actor=OPERATOR, amount=PART, has_reason=True)),
    "retry": ("retry", Retry(actor=OPERATOR)),
}
Stay = tuple[int, int] | None
RECORDS: dict[str, tuple[Stay, Stay]] = {
    "both came": ((0, 60), (0, 60)),
    "together too short": ((0, 20), (0, 60)),
    "one after the other": ((0, 20), (20, 60)),
    "only the instructor came": (None, (0, 60)),
    "the instructor left early": (None, (0, 5)),
    "only the student came": ((0, 60), None),
    "nothing recorded": (None, None),
}
"""From which minute to which the student and the instructor were there."""


def booked(plan: PaymentPlan, on_timeout: CompletionTimeoutPolicy) -> BookingTerms:
    return BookingTerms(
        booking_id=UUID(int=10),
        student_id=STUDENT_ID,
        instructor_id=INSTRUCTOR_ID,
        offering_id=UUID(int=11),
        slot_id=UUID(int=12),
        starts_at=STARTS_AT,
        ends_at=STARTS_AT + HOUR,
        price=PRICE,
        policy=BookingPolicy(deadlines=DEADLINES, no_show_min_wait=LONG_ENOUGH, on_completion_timeout=on_timeout),
        plan=plan,
        stripe_account_id="acct_1",
    )


def judged(record: str, terms: BookingTerms, at: datetime) -> Verdict:
    """By the rules themselves, from what the meeting's provider has reported by then."""
    sightings = [
        AttendanceReport(id=f"{role}-{kind}", kind=kind, role=role, connection=role, at=seen_at)
        for role, stay in zip(SignUpRole, RECORDS[record], strict=True)
        if stay
        for kind, minute in zip((AttendanceKind.JOINED, AttendanceKind.LEFT), stay, strict=True)
        if (seen_at := terms.starts_at + minute * MINUTE) <= at
    ]
    found = attendance(sightings, terms.starts_at, terms.ends_at, at)
    return verdict(found, terms.policy, terms.ends_at - terms.starts_at)
