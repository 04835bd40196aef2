"""The verdict on a contested no-show, the ending that follows, and the contest window."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from models.domain.actors import PLATFORM, AbsentParty, Actor, Role, SignUpRole
from models.domain.attendance import AttendanceKind, AttendanceReport, attendance
from models.domain.endings import EndReason
from models.domain.messages import ReportNoShow
from models.domain.money import Money
from models.domain.no_shows import NoShowVerdict, contest_until, ending_after, verdict
from models.domain.policy import BookingPolicy, Deadlines, PaymentPlan
from models.domain.states import BookingStatus
from models.domain.terms import BookingTerms

STARTS_AT = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)
ENDS_AT = STARTS_AT + timedelta(hours=1)
STUDENT, INSTRUCTOR = (Actor(role=role, id=uuid4()) for role in (Role.STUDENT, Role.INSTRUCTOR))
BY_INSTRUCTOR = ReportNoShow(actor=INSTRUCTOR, absent=AbsentParty.STUDENT)
BY_STUDENT = ReportNoShow(actor=STUDENT, absent=AbsentParty.INSTRUCTOR)
TERMS = BookingTerms(
    booking_id=uuid4(),
    student_id=uuid4(),
    instructor_id=uuid4(),
    offering_id=uuid4(),
    slot_id=uuid4(),
    starts_at=STARTS_AT,
    ends_at=ENDS_AT,
    price=Money(amount_minor=10_000, currency="usd"),
    policy=BookingPolicy(deadlines=Deadlines(contest_window=timedelta(hours=24))),
    plan=PaymentPlan.HOLD,
    stripe_account_id="acct_1",
)
Stay = tuple[int, int] | None
"""From one minute to another; `None` if never present."""


def verdict_for(
    student: Stay,
    instructor: Stay,
    report: ReportNoShow = BY_INSTRUCTOR,
    at: datetime = ENDS_AT,
    terms: BookingTerms = TERMS,
) -> NoShowVerdict:
    sightings = [
        AttendanceReport(
            id=f"{role}-{kind}",
            kind=kind,
            role=role,
            connection=role,
            at=terms.starts_at + timedelta(minutes=minute),
        )
        for role, stay in ((SignUpRole.STUDENT, student), (SignUpRole.INSTRUCTOR, instructor))
        if stay
        for kind, minute in zip((AttendanceKind.JOINED, AttendanceKind.LEFT), stay, strict=True)
    ]
    found = attendance(sightings, terms.starts_at, terms.ends_at, at)
    return verdict(found, report, terms, at)


@pytest.mark.parametrize(
    ("student", "instructor", "by_instructor", "by_student"),
    [
        ((0, 60), (0, 60), NoShowVerdict.BOTH_CAME, NoShowVerdict.BOTH_CAME),
        ((0, 30), (0, 60), NoShowVerdict.BOTH_CAME, NoShowVerdict.BOTH_CAME),
        ((0, 29), (0, 60), NoShowVerdict.UNCLEAR, NoShowVerdict.UNCLEAR),
        (None, (0, 10), NoShowVerdict.BORNE_OUT, NoShowVerdict.REPORTER_ABSENT),
        (None, (0, 9), NoShowVerdict.UNCLEAR, NoShowVerdict.UNCLEAR),
        ((0, 10), None, NoShowVerdict.REPORTER_ABSENT, NoShowVerdict.BORNE_OUT),
        ((0, 20), (20, 60), NoShowVerdict.UNCLEAR, NoShowVerdict.UNCLEAR),
        (None, None, NoShowVerdict.UNCLEAR, NoShowVerdict.UNCLEAR),
        ((-9, -1), (0, 60), NoShowVerdict.UNCLEAR, NoShowVerdict.UNCLEAR),
    ],
    ids=[
        "both for all of it",
        "both for half of it",
        "both for less than half of it",
        "instructor waited",
        "instructor waited too briefly",
        "student waited",
        "one left as the other came",
        "nobody came",
        "student left before the start",
    ],
)
def test_verdict(student: Stay, instructor: Stay, by_instructor: NoShowVerdict, by_student: NoShowVerdict) -> None:
    assert verdict_for(student, instructor, BY_INSTRUCTOR) is by_instructor
    assert verdict_for(student, instructor, BY_STUDENT) is by_student


def test_verdict_during_the_session_uses_its_time_so_far() -> None:
    at = STARTS_AT + timedelta(minutes=20)
    assert verdict_for((0, 60), (10, 60), at=at) is NoShowVerdict.BOTH_CAME
    assert verdict_for((0, 60), (11, 60), at=at) is NoShowVerdict.UNCLEAR
    assert verdict_for((0, 60), (0, 60), at=STARTS_AT) is NoShowVerdict.UNCLEAR


def test_session_shorter_than_the_minimum_wait_must_be_waited_out() -> None:
    short = TERMS.model_copy(update={"ends_at": STARTS_AT + timedelta(minutes=5)})
    assert verdict_for(None, (0, 5), terms=short) is NoShowVerdict.BORNE_OUT
    assert verdict_for(None, (1, 5), terms=short) is NoShowVerdict.UNCLEAR


def test_ending_follows_the_verdict() -> None:
    def ended(found: NoShowVerdict, report: ReportNoShow) -> tuple[BookingStatus | None, EndReason, int, Actor]:
        ending = ending_after(found, report, TERMS)
        assert ending is not None
        return ending.booking, ending.reason, ending.split.kept.amount_minor, ending.actor

    held, missed = BookingStatus.COMPLETED, BookingStatus.NO_SHOW
    assert ended(NoShowVerdict.BOTH_CAME, BY_STUDENT) == (held, EndReason.NO_SHOW_REFUTED, 10_000, PLATFORM)
    assert ended(NoShowVerdict.BORNE_OUT, BY_STUDENT) == (missed, EndReason.INSTRUCTOR_ABSENT, 0, STUDENT)
    assert ended(NoShowVerdict.BORNE_OUT, BY_INSTRUCTOR) == (missed, EndReason.STUDENT_ABSENT, 5_000, INSTRUCTOR)
    assert ended(NoShowVerdict.REPORTER_ABSENT, BY_STUDENT) == (missed, EndReason.STUDENT_ABSENT, 5_000, PLATFORM)
    assert ended(NoShowVerdict.REPORTER_ABSENT, BY_INSTRUCTOR) == (missed, EndReason.INSTRUCTOR_ABSENT, 0, PLATFORM)
    assert ending_after(NoShowVerdict.UNCLEAR, BY_STUDENT, TERMS) is None


def test_contest_window_ends_before_the_hold() -> None:
    policy, far = TERMS.policy, ENDS_AT + timedelta(days=4)
    day, margin = timedelta(days=1), policy.deadlines.hold_margin
    assert contest_until(BY_STUDENT, policy, ENDS_AT, far) == ENDS_AT + day
    assert contest_until(BY_STUDENT, policy, ENDS_AT, ENDS_AT + day) == ENDS_AT + day - margin
    assert contest_until(BY_STUDENT, policy, ENDS_AT, ENDS_AT + margin) is None


@pytest.mark.parametrize(
    "report",
    [
        ReportNoShow(actor=STUDENT, absent=AbsentParty.STUDENT),
        ReportNoShow(actor=INSTRUCTOR, absent=AbsentParty.INSTRUCTOR),
        ReportNoShow(actor=Actor(role=Role.OPERATOR, id=uuid4()), absent=AbsentParty.STUDENT),
    ],
    ids=["student's own absence", "instructor's own absence", "by an operator"],
)
def test_report_that_cannot_be_contested(report: ReportNoShow) -> None:
    assert contest_until(report, TERMS.policy, ENDS_AT, ENDS_AT + timedelta(days=4)) is None


def test_report_cannot_be_contested_without_a_window() -> None:
    assert contest_until(BY_STUDENT, BookingPolicy(), ENDS_AT, ENDS_AT + timedelta(days=4)) is None
