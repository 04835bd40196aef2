"""Who is believed: what the meeting's record shows, and the ending that follows from report, answer and record."""

from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import uuid4

import pytest

from models.domain.actors import PLATFORM, AbsentParty, Actor, Role, SignUpRole
from models.domain.attendance import AttendanceKind, AttendanceReport, attendance
from models.domain.endings import EndReason
from models.domain.messages import Complete, ContestNoShow, Object, ReportNoShow
from models.domain.money import Money
from models.domain.policy import STRICT, BookingPolicy, CompletionTimeoutPolicy, Deadlines, PaymentPlan
from models.domain.session_reports import (
    Answer,
    Report,
    Verdict,
    answer_until,
    can_be_answered,
    ending_after,
    ending_on_timeout,
    verdict,
)
from models.domain.terms import BookingTerms

STARTS_AT = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)
ENDS_AT = STARTS_AT + timedelta(hours=1)
STUDENT, INSTRUCTOR, OPERATOR = (
    Actor(role=role, id=uuid4()) for role in (Role.STUDENT, Role.INSTRUCTOR, Role.OPERATOR)
)
STUDENT_GONE = ReportNoShow(actor=INSTRUCTOR, absent=AbsentParty.STUDENT)
INSTRUCTOR_GONE = ReportNoShow(actor=STUDENT, absent=AbsentParty.INSTRUCTOR)
HELD = Complete(actor=INSTRUCTOR)
WINDOWS = Deadlines(contest_window=timedelta(hours=24), objection_window=timedelta(hours=12))
TERMS = BookingTerms(
    booking_id=uuid4(),
    student_id=uuid4(),
    instructor_id=uuid4(),
    offering_id=uuid4(),
    slot_id=uuid4(),
    starts_at=STARTS_AT,
    ends_at=ENDS_AT,
    price=Money(amount_minor=10_000, currency="usd"),
    policy=BookingPolicy(cancellation=STRICT, deadlines=WINDOWS),
    plan=PaymentPlan.HOLD,
    stripe_account_id="acct_1",
)
Stay = tuple[int, int] | None
"""From one minute to another; `None` if never present."""


def verdict_for(student: Stay, instructor: Stay, at: datetime = ENDS_AT, minutes: int = 60) -> Verdict:
    sightings = [
        AttendanceReport(
            id=f"{role}-{kind}", kind=kind, role=role, connection=role, at=STARTS_AT + timedelta(minutes=minute)
        )
        for role, stay in ((SignUpRole.STUDENT, student), (SignUpRole.INSTRUCTOR, instructor))
        if stay
        for kind, minute in zip((AttendanceKind.JOINED, AttendanceKind.LEFT), stay, strict=True)
    ]
    planned = timedelta(minutes=minutes)
    return verdict(attendance(sightings, STARTS_AT, STARTS_AT + planned, at), TERMS.policy, planned)


@pytest.mark.parametrize(
    ("student", "instructor", "expected"),
    [
        ((0, 60), (0, 60), Verdict.TOOK_PLACE),
        ((0, 30), (0, 60), Verdict.TOOK_PLACE),
        ((0, 29), (0, 60), Verdict.CUT_SHORT),
        ((0, 20), (20, 60), Verdict.APART),
        (None, (0, 10), Verdict.STUDENT_ABSENT),
        (None, (0, 9), Verdict.WAIT_TOO_SHORT),
        ((-9, -1), (0, 60), Verdict.STUDENT_ABSENT),
        ((0, 10), None, Verdict.INSTRUCTOR_ABSENT),
        ((0, 1), None, Verdict.INSTRUCTOR_ABSENT),
        ((0, 60), (-9, -1), Verdict.INSTRUCTOR_ABSENT),
        ((0, 60), (61, 70), Verdict.INSTRUCTOR_ABSENT),
        (None, None, Verdict.NOTHING_RECORDED),
        ((-9, -1), (-9, -1), Verdict.NOTHING_RECORDED),
    ],
)
def test_verdict(student: Stay, instructor: Stay, expected: Verdict) -> None:
    assert verdict_for(student, instructor) is expected


def test_a_session_is_measured_against_its_planned_length() -> None:
    in_the_middle = STARTS_AT + timedelta(minutes=29)
    assert verdict_for((0, 60), (0, 60), at=in_the_middle) is Verdict.CUT_SHORT
    assert verdict_for((0, 60), (0, 60), at=in_the_middle + timedelta(minutes=1)) is Verdict.TOOK_PLACE


def test_a_session_shorter_than_the_minimum_wait_must_be_waited_out() -> None:
    assert verdict_for(None, (0, 5), minutes=5) is Verdict.STUDENT_ABSENT
    assert verdict_for(None, (1, 5), minutes=5) is Verdict.WAIT_TOO_SHORT


COMPLETED = ("completed", 10_000)
REFUTED = ("no_show_refuted", 10_000)
STUDENT_PAYS = ("student_absent", 10_000)
INSTRUCTOR_GETS_NOTHING = ("instructor_absent", 0)
OPERATOR_DECIDES = None
ABSENCES = {Verdict.STUDENT_ABSENT: STUDENT_PAYS, Verdict.INSTRUCTOR_ABSENT: INSTRUCTOR_GETS_NOTHING}
# By what was reported, and whether the other side is silent or has answered. What is missing goes to an operator.
BELIEVED: dict[tuple[Report, bool], dict[Verdict, tuple[str, int]]] = {
    (HELD, False): ABSENCES
    | {
        Verdict.TOOK_PLACE: COMPLETED,
        Verdict.CUT_SHORT: COMPLETED,
        Verdict.NOTHING_RECORDED: COMPLETED,
    },
    (HELD, True): ABSENCES | {Verdict.TOOK_PLACE: COMPLETED},
    (STUDENT_GONE, False): ABSENCES
    | {
        Verdict.TOOK_PLACE: REFUTED,
        Verdict.WAIT_TOO_SHORT: STUDENT_PAYS,
        Verdict.NOTHING_RECORDED: STUDENT_PAYS,
    },
    (STUDENT_GONE, True): ABSENCES | {Verdict.TOOK_PLACE: REFUTED},
    (INSTRUCTOR_GONE, False): ABSENCES
    | {Verdict.TOOK_PLACE: REFUTED, Verdict.NOTHING_RECORDED: INSTRUCTOR_GETS_NOTHING},
    (INSTRUCTOR_GONE, True): ABSENCES | {Verdict.TOOK_PLACE: REFUTED},
}


@pytest.mark.parametrize(("said", "found"), list(product(BELIEVED, Verdict)))
def test_ending(said: tuple[Report, bool], found: Verdict) -> None:
    report, is_answered = said
    other: Answer = Object(actor=STUDENT) if report is HELD else ContestNoShow(actor=STUDENT)
    ending = ending_after(found, report, other if is_answered else None, TERMS)
    expected = BELIEVED[said].get(found, OPERATOR_DECIDES)
    assert (ending and (ending.reason, ending.split.kept.amount_minor)) == expected


def test_an_ending_names_the_reporter_only_where_the_report_counts() -> None:
    def actor(found: Verdict, report: Report, answer: Answer | None = None) -> Actor:
        ending = ending_after(found, report, answer, TERMS)
        assert ending
        return ending.actor

    assert actor(Verdict.NOTHING_RECORDED, HELD) == INSTRUCTOR
    assert actor(Verdict.TOOK_PLACE, HELD, Object(actor=STUDENT)) == PLATFORM
    assert actor(Verdict.STUDENT_ABSENT, STUDENT_GONE) == INSTRUCTOR
    assert actor(Verdict.INSTRUCTOR_ABSENT, STUDENT_GONE) == PLATFORM


@pytest.mark.parametrize("found", Verdict)
def test_silence_of_everybody_captures_nothing_for_an_absent_instructor(found: Verdict) -> None:
    assert not ending_on_timeout(found, TERMS).split.kept
    settling = TERMS.policy.model_copy(update={"on_completion_timeout": CompletionTimeoutPolicy.SETTLE})
    ending = ending_on_timeout(found, TERMS.model_copy(update={"policy": settling}))
    reason, kept = ABSENCES.get(found, (EndReason.COMPLETION_TIMEOUT, 10_000))
    assert (ending.reason, ending.split.kept.amount_minor) == (reason, kept)


def test_the_window_for_an_answer_ends_after_the_session_and_within_the_hold() -> None:
    far, margin, hour = ENDS_AT + timedelta(days=4), WINDOWS.hold_margin, timedelta(hours=1)

    def until(
        report: Report, now: datetime, hold_ends_at: datetime = far, policy: BookingPolicy = TERMS.policy
    ) -> datetime:
        return answer_until(report, policy, ENDS_AT, now, hold_ends_at)

    assert until(STUDENT_GONE, ENDS_AT) == ENDS_AT + 24 * hour
    assert until(HELD, ENDS_AT) == ENDS_AT + 12 * hour
    assert until(HELD, ENDS_AT, ENDS_AT + margin + hour) == ENDS_AT + hour
    without = BookingPolicy()
    assert until(STUDENT_GONE, STARTS_AT, policy=without) == ENDS_AT
    assert until(HELD, ENDS_AT + hour, policy=without) == ENDS_AT + hour


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (HELD, True),
        (STUDENT_GONE, True),
        (INSTRUCTOR_GONE, True),
        (ReportNoShow(actor=STUDENT, absent=AbsentParty.STUDENT), False),
        (ReportNoShow(actor=INSTRUCTOR, absent=AbsentParty.INSTRUCTOR), False),
        (ReportNoShow(actor=OPERATOR, absent=AbsentParty.STUDENT), False),
    ],
)
def test_reports_that_can_be_answered(report: Report, expected: bool) -> None:
    assert can_be_answered(report) is expected
