"""Attendance is computed from the reports, regardless of order, duplicates and gaps."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.actors import SignUpRole
from models.domain.attendance import Attendance, AttendanceKind, AttendanceReport, Visit, attendance

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTES = 60
END = START + timedelta(minutes=MINUTES)
LATER = END + timedelta(hours=1)
STUDENT, INSTRUCTOR = SignUpRole.STUDENT, SignUpRole.INSTRUCTOR
JOINED, LEFT = AttendanceKind.JOINED, AttendanceKind.LEFT


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def report(minute: int, kind: AttendanceKind, role: SignUpRole = STUDENT, connection: str = "one") -> AttendanceReport:
    return AttendanceReport(
        id=f"{role}/{connection}/{kind}/{minute}", kind=kind, role=role, connection=connection, at=at(minute)
    )


def of(*sightings: AttendanceReport, now: datetime = LATER) -> Attendance:
    return attendance(sightings, START, END, now)


def minutes(span: timedelta) -> int:
    assert span % timedelta(minutes=1) == timedelta(0)
    return span // timedelta(minutes=1)


def test_visit_lasts_from_joining_to_leaving() -> None:
    found = of(report(5, JOINED), report(25, LEFT))
    assert found.student.visits == (Visit(joined_at=at(5), left_at=at(25)),)
    assert minutes(found.student.total) == 20
    assert found.instructor.visits == ()
    assert found.instructor.total == timedelta(0)


def test_only_time_within_the_session_counts_but_all_visits_are_listed() -> None:
    found = of(report(-10, JOINED), report(70, LEFT), report(80, JOINED), report(90, LEFT))
    assert minutes(found.student.total) == MINUTES
    assert [visit.joined_at for visit in found.student.visits] == [at(-10), at(80)]


@pytest.mark.parametrize(("now", "expected"), [(at(15), 10), (at(60), 55), (LATER, 55), (at(-1), 0), (at(5), 0)])
def test_visit_without_a_leave_report_lasts_until_now_or_the_end(now: datetime, expected: int) -> None:
    found = of(report(5, JOINED), now=now)
    assert found.student.visits == (Visit(joined_at=at(5), left_at=None),)
    assert minutes(found.student.total) == expected


def test_visit_without_a_join_report_counts_as_zero() -> None:
    found = of(report(25, LEFT))
    assert found.student.visits == (Visit(joined_at=None, left_at=at(25)),)
    assert found.student.total == timedelta(0)


def test_overlapping_connections_count_once() -> None:
    found = of(
        report(0, JOINED, connection="one"),
        report(10, JOINED, connection="two"),
        report(20, LEFT, connection="one"),
        report(30, LEFT, connection="two"),
    )
    assert len(found.student.visits) == 2
    assert minutes(found.student.total) == 30


@pytest.mark.parametrize(("left_after", "expected"), [(35, 30), (50, 40)])
def test_connections_that_overlap_after_a_break_count_once(left_after: int, expected: int) -> None:
    found = of(
        report(0, JOINED), report(10, LEFT), report(20, JOINED), report(40, LEFT),
        report(30, JOINED, connection="two"), report(left_after, LEFT, connection="two"),
    )  # fmt: skip
    assert minutes(found.student.total) == expected


@pytest.mark.parametrize(("joined", "left", "came"), [(-10, 0, False), (-10, 1, True), (59, 70, True), (60, 70, False)])
def test_who_leaves_at_the_start_or_joins_at_the_end_did_not_come(joined: int, left: int, came: bool) -> None:
    assert of(report(joined, JOINED), report(left, LEFT)).student.came is came


def test_who_come_one_after_the_other_are_never_together() -> None:
    found = of(report(0, JOINED), report(10, LEFT), report(20, JOINED, INSTRUCTOR), report(30, LEFT, INSTRUCTOR))
    assert found.together == timedelta(0)


def test_rejoining_starts_another_visit() -> None:
    found = of(report(0, JOINED), report(10, LEFT), report(20, JOINED), report(25, LEFT))
    assert len(found.student.visits) == 2
    assert minutes(found.student.total) == 15


@pytest.mark.parametrize("extra", [report(7, JOINED), report(30, LEFT)])
def test_redundant_report_changes_nothing(extra: AttendanceReport) -> None:
    reports = (report(5, JOINED), report(25, LEFT))
    assert of(*reports, extra) == of(*reports)


def test_together_is_the_time_with_both_present() -> None:
    found = of(
        report(0, JOINED), report(20, LEFT), report(40, JOINED), report(60, LEFT),
        report(10, JOINED, INSTRUCTOR), report(50, LEFT, INSTRUCTOR),
    )  # fmt: skip
    assert minutes(found.together) == 20


def test_recordings_are_listed_by_upload_time() -> None:
    uploads = [
        AttendanceReport(id=str(minute), kind=AttendanceKind.RECORDING_UPLOADED, at=at(minute)) for minute in (90, 70)
    ]
    assert of(*uploads).recordings_uploaded_at == (at(70), at(90))


REPORTS = st.lists(
    st.builds(
        report,
        st.integers(-20, 80),
        st.sampled_from([JOINED, LEFT]),
        st.sampled_from(list(SignUpRole)),
        st.sampled_from(["one", "two", "three"]),
    ),
    max_size=20,
)
NOWS = st.integers(-30, 120).map(at)


@given(REPORTS, NOWS, st.data())
def test_order_and_duplicates_do_not_matter(
    reports: list[AttendanceReport], now: datetime, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations([*reports, *reports]))
    assert of(*shuffled, now=now) == of(*reports, now=now)


def is_present(reports: list[AttendanceReport], role: SignUpRole, minute: int, now: datetime) -> bool:
    """Whether the role is present in the minute that starts then, checked connection by connection."""
    if not START <= at(minute) < min(END, now):
        return False
    for connection in {report.connection for report in reports}:
        before = [
            report
            for report in reports
            if (report.role, report.connection) == (role, connection) and report.at <= at(minute)
        ]
        last = max(before, key=lambda report: (report.at, report.kind is LEFT), default=None)
        if last is not None and last.kind is JOINED:
            return True
    return False


@given(REPORTS, NOWS)
def test_totals_match_a_minute_by_minute_count(reports: list[AttendanceReport], now: datetime) -> None:
    found = of(*reports, now=now)
    present = {
        role: {minute for minute in range(MINUTES) if is_present(reports, role, minute, now)} for role in SignUpRole
    }
    assert minutes(found.student.total) == len(present[STUDENT])
    assert minutes(found.instructor.total) == len(present[INSTRUCTOR])
    assert minutes(found.together) == len(present[STUDENT] & present[INSTRUCTOR])


@given(REPORTS, NOWS)
def test_lost_leave_reports_never_reduce_presence(reports: list[AttendanceReport], now: datetime) -> None:
    without = of(*(report for report in reports if report.kind is JOINED), now=now)
    found = of(*reports, now=now)
    assert without.student.total >= found.student.total
    assert without.instructor.total >= found.instructor.total
