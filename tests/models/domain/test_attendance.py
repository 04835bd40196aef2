"""Who was there for how long follows from the reports, whatever their order, number and gaps."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.actors import SignUpRole
from models.domain.attendance import Attendance, AttendanceKind, Sighting, Visit, attendance

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTES = 60
END = START + timedelta(minutes=MINUTES)
LATER = END + timedelta(hours=1)
STUDENT, INSTRUCTOR = SignUpRole.STUDENT, SignUpRole.INSTRUCTOR
JOINED, LEFT = AttendanceKind.JOINED, AttendanceKind.LEFT


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def seen(minute: int, kind: AttendanceKind, role: SignUpRole = STUDENT, connection: str = "one") -> Sighting:
    return Sighting(
        id=f"{role}/{connection}/{kind}/{minute}", kind=kind, role=role, connection=connection, at=at(minute)
    )


def of(*sightings: Sighting, now: datetime = LATER) -> Attendance:
    return attendance(sightings, START, END, now)


def minutes(span: timedelta) -> int:
    assert span % timedelta(minutes=1) == timedelta(0)
    return span // timedelta(minutes=1)


def test_a_visit_lasts_from_joining_to_leaving() -> None:
    found = of(seen(5, JOINED), seen(25, LEFT))
    assert found.student.visits == (Visit(joined_at=at(5), left_at=at(25)),)
    assert minutes(found.student.total) == 20
    assert found.instructor.visits == ()
    assert found.instructor.total == timedelta(0)


def test_only_the_sessions_own_time_counts_but_every_visit_is_shown() -> None:
    found = of(seen(-10, JOINED), seen(70, LEFT), seen(80, JOINED), seen(90, LEFT))
    assert minutes(found.student.total) == MINUTES
    assert [visit.joined_at for visit in found.student.visits] == [at(-10), at(80)]


@pytest.mark.parametrize(("now", "lasted"), [(at(15), 10), (at(60), 55), (LATER, 55), (at(-1), 0), (at(5), 0)])
def test_who_was_not_seen_leaving_is_there_until_now_or_the_end(now: datetime, lasted: int) -> None:
    found = of(seen(5, JOINED), now=now)
    assert found.student.visits == (Visit(joined_at=at(5), left_at=None),)
    assert minutes(found.student.total) == lasted


def test_who_was_seen_leaving_only_was_there_for_no_known_time() -> None:
    found = of(seen(25, LEFT))
    assert found.student.visits == (Visit(joined_at=None, left_at=at(25)),)
    assert found.student.total == timedelta(0)


def test_two_tabs_at_once_count_once_and_the_second_keeps_the_person_there() -> None:
    found = of(
        seen(0, JOINED, connection="one"),
        seen(10, JOINED, connection="two"),
        seen(20, LEFT, connection="one"),
        seen(30, LEFT, connection="two"),
    )
    assert len(found.student.visits) == 2
    assert minutes(found.student.total) == 30


def test_a_connection_that_comes_back_is_another_visit() -> None:
    found = of(seen(0, JOINED), seen(10, LEFT), seen(20, JOINED), seen(25, LEFT))
    assert len(found.student.visits) == 2
    assert minutes(found.student.total) == 15


@pytest.mark.parametrize("extra", [seen(7, JOINED), seen(30, LEFT)])
def test_a_report_that_tells_nothing_new_changes_nothing(extra: Sighting) -> None:
    told = (seen(5, JOINED), seen(25, LEFT))
    assert of(*told, extra) == of(*told)


def test_together_is_when_both_are_there() -> None:
    found = of(
        seen(0, JOINED), seen(20, LEFT), seen(40, JOINED), seen(60, LEFT),
        seen(10, JOINED, INSTRUCTOR), seen(50, LEFT, INSTRUCTOR),
    )  # fmt: skip
    assert minutes(found.together) == 20


def test_a_recording_is_told_by_when_it_was_uploaded() -> None:
    uploads = [Sighting(id=str(minute), kind=AttendanceKind.RECORDING_UPLOADED, at=at(minute)) for minute in (90, 70)]
    assert of(*uploads).recordings_uploaded_at == (at(70), at(90))


REPORTS = st.lists(
    st.builds(
        seen,
        st.integers(-20, 80),
        st.sampled_from([JOINED, LEFT]),
        st.sampled_from(list(SignUpRole)),
        st.sampled_from(["one", "two", "three"]),
    ),
    max_size=20,
)
NOWS = st.integers(-30, 120).map(at)


@given(REPORTS, NOWS, st.data())
def test_neither_order_nor_repetition_matters(reports: list[Sighting], now: datetime, data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations([*reports, *reports]))
    assert of(*shuffled, now=now) == of(*reports, now=now)


def there(reports: list[Sighting], role: SignUpRole, minute: int, now: datetime) -> bool:
    """Whether they are there in the minute that begins then, looked up one connection at a time."""
    if not START <= at(minute) < min(END, now):
        return False
    for connection in {report.connection for report in reports}:
        before = [it for it in reports if (it.role, it.connection) == (role, connection) and it.at <= at(minute)]
        last = max(before, key=lambda it: (it.at, it.kind is LEFT), default=None)
        if last is not None and last.kind is JOINED:
            return True
    return False


@given(REPORTS, NOWS)
def test_the_totals_are_those_of_a_look_at_every_minute(reports: list[Sighting], now: datetime) -> None:
    found = of(*reports, now=now)
    present = {role: {it for it in range(MINUTES) if there(reports, role, it, now)} for role in SignUpRole}
    assert minutes(found.student.total) == len(present[STUDENT])
    assert minutes(found.instructor.total) == len(present[INSTRUCTOR])
    assert minutes(found.together) == len(present[STUDENT] & present[INSTRUCTOR])


@given(REPORTS, NOWS)
def test_a_lost_report_of_leaving_never_makes_anybody_less_present(reports: list[Sighting], now: datetime) -> None:
    without = of(*(it for it in reports if it.kind is JOINED), now=now)
    found = of(*reports, now=now)
    assert without.student.total >= found.student.total
    assert without.instructor.total >= found.instructor.total
