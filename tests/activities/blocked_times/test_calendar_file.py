"""What an iCalendar file blocks."""

from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from activities.blocked_times.calendar_file import busy_periods
from models.domain.blocked_times import CalendarProblem, Period, UnreadableCalendar
from models.domain.ids import calendar_uid
from tests.activities.blocked_times.events import calendar, event

NOW = datetime(2026, 3, 1, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


def blocked(*events: str) -> list[Period]:
    return busy_periods(calendar(*events), BERLIN, NOW)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("lines", "start", "end"),
    [
        pytest.param(("DTSTART:20260310T100000Z", "DTEND:20260310T113000Z"), "T10:00", "T11:30", id="UTC"),
        pytest.param(
            ("DTSTART;TZID=America/New_York:20260310T100000", "DURATION:PT1H"), "T14:00", "T15:00", id="a zone"
        ),
        pytest.param(("DTSTART:20260310T100000", "DURATION:PT1H"), "T09:00", "T10:00", id="the instructor's zone"),
    ],
)
def test_event_blocks_its_time(lines: tuple[str, ...], start: str, end: str) -> None:
    assert blocked(event(*lines)) == [(at("2026-03-10" + start), at("2026-03-10" + end))]


def test_whole_day_is_the_instructors() -> None:
    assert blocked(event("DTSTART;VALUE=DATE:20260310")) == [(at("2026-03-09T23:00"), at("2026-03-10T23:00"))]


def test_weekly_event_keeps_its_local_time_and_its_exceptions() -> None:
    weekly = (
        "UID:lesson",
        "DTSTART;TZID=Europe/Berlin:20260323T180000",
        "DURATION:PT1H",
        "RRULE:FREQ=WEEKLY;COUNT=4",
        "EXDATE;TZID=Europe/Berlin:20260406T180000",
    )
    moved = (
        "UID:lesson",
        "RECURRENCE-ID;TZID=Europe/Berlin:20260413T180000",
        "DTSTART;TZID=Europe/Berlin:20260414T080000",
        "DURATION:PT30M",
    )
    assert blocked(event(*weekly), event(*moved)) == [
        (at("2026-03-23T17:00"), at("2026-03-23T18:00")),
        (at("2026-03-30T16:00"), at("2026-03-30T17:00")),
        (at("2026-04-14T06:00"), at("2026-04-14T06:30")),
    ]


@pytest.mark.parametrize("line", ["TRANSP:TRANSPARENT", "STATUS:CANCELLED", f"UID:{calendar_uid(UUID(int=1))}"])
def test_what_is_free_called_off_or_a_session_of_ours_blocks_nothing(line: str) -> None:
    assert blocked(event("DTSTART:20260310T100000Z", "DURATION:PT1H", line)) == []


def test_events_that_overlap_or_touch_are_one_period() -> None:
    events = [event(f"DTSTART:20260310T{hour:02}0000Z", "DURATION:PT90M") for hour in (10, 11, 13)]
    touching = event("DTSTART:20260310T143000Z", "DURATION:PT30M")
    assert blocked(*events, touching) == [
        (at("2026-03-10T10:00"), at("2026-03-10T12:30")),
        (at("2026-03-10T13:00"), at("2026-03-10T15:00")),
    ]


@pytest.mark.parametrize(
    "rule", ["FREQ=SECONDLY", "FREQ=HOURLY", "FREQ=DAILY;BYHOUR=1,2,3;BYSECOND=0,1,2", "FREQ=DAILY;BYMINUTE=0,30"]
)
def test_rule_that_fires_more_than_daily_is_refused(rule: str) -> None:
    with pytest.raises(UnreadableCalendar) as error:
        blocked(event("DTSTART:20260310T100000Z", "DURATION:PT1S", f"RRULE:{rule}"))
    assert error.value.problem is CalendarProblem.TOO_MANY_EVENTS


@pytest.mark.parametrize("content", [b"", b"<html>Sign in</html>", b"\xff\xfe", b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n"])
def test_what_is_no_calendar_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableCalendar) as error:
        busy_periods(content, BERLIN, NOW)
    assert error.value.problem is CalendarProblem.NOT_A_CALENDAR
