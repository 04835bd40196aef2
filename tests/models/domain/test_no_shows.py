"""What a meeting's record says of a contested no-show, and until when one can be contested."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from models.domain.actors import PLATFORM, AbsentParty, Actor, Role, SignUpRole
from models.domain.attendance import AttendanceKind, Sighting, attendance
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
"""From this minute to that; `None`: not at all."""


def judged(
    student: Stay,
    instructor: Stay,
    report: ReportNoShow = BY_INSTRUCTOR,
    at: datetime = ENDS_AT,
    terms: BookingTerms = TERMS,
) -> NoShowVerdict:
    sightings = [
        Sighting(
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
        # Before the session's time, but there: not somebody who never came.
        ((-9, -1), (0, 60), NoShowVerdict.UNCLEAR, NoShowVerdict.UNCLEAR),
    ],
)
def test_clear_cases_are_decided_and_all_others_are_not(
    student: Stay, instructor: Stay, by_instructor: NoShowVerdict, by_student: NoShowVerdict
) -> None:
    assert judged(student, instructor, BY_INSTRUCTOR) is by_instructor
    assert judged(student, instructor, BY_STUDENT) is by_student


def test_during_the_session_its_time_so_far_counts() -> None:
    at = STARTS_AT + timedelta(minutes=20)
    assert judged((0, 60), (10, 60), at=at) is NoShowVerdict.BOTH_CAME
    assert judged((0, 60), (11, 60), at=at) is NoShowVerdict.UNCLEAR
    assert judged((0, 60), (0, 60), at=STARTS_AT) is NoShowVerdict.UNCLEAR


def test_of_a_session_that_is_shorter_than_the_waiting_all_of_it_must_be_waited() -> None:
    short = TERMS.model_copy(update={"ends_at": STARTS_AT + timedelta(minutes=5)})
    assert judged(None, (0, 5), terms=short) is NoShowVerdict.BORNE_OUT
    assert judged(None, (1, 5), terms=short) is NoShowVerdict.UNCLEAR


def test_each_verdict_ends_the_booking_for_whom_it_says() -> None:
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


def test_the_other_side_has_the_window_as_far_as_the_hold_reaches() -> None:
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
)
def test_who_reports_their_own_absence_and_an_operator_are_believed_at_once(report: ReportNoShow) -> None:
    assert contest_until(report, TERMS.policy, ENDS_AT, ENDS_AT + timedelta(days=4)) is None


def test_without_a_window_a_report_counts_at_once() -> None:
    assert contest_until(BY_STUDENT, BookingPolicy(), ENDS_AT, ENDS_AT + timedelta(days=4)) is None
