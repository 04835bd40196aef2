"""When an iCalendar file (RFC 5545) says that its owner is busy. Titles, places and people are not looked at."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import recurring_ical_events
from icalendar import Calendar, Event

from models.domain.blocked_times import AHEAD, MAX_PERIODS, CalendarProblem, Period, UnreadableCalendar, merged
from models.domain.ids import is_calendar_uid

_MONTH: Final = timedelta(days=30)
_SUB_DAILY: Final = {"SECONDLY", "MINUTELY", "HOURLY"}
_MAX_RULES: Final = 500


def busy_periods(content: bytes, zone: ZoneInfo, now: datetime) -> list[Period]:
    """The next year's, recurring events included. Whole days, and times without a zone, are in `zone`.

    Raises:
        UnreadableCalendar: it is no calendar, or has more than anyone's calendar would have.
    """
    try:
        return merged(_periods(Calendar.from_ical(content), zone, now))
    except UnreadableCalendar:
        raise
    except Exception as error:
        # The libraries raise whatever a malformed value leads to.
        raise UnreadableCalendar(CalendarProblem.NOT_A_CALENDAR) from error


def _periods(calendar: Any, zone: ZoneInfo, now: datetime) -> list[Period]:
    _refuse_endless(calendar.walk("VEVENT"))
    events, found, until = recurring_ical_events.of(calendar), list[Period](), now + AHEAD
    start = now
    # Month by month, so that a calendar with too much is given up early.
    while start < until:
        found += [_period(event, zone) for event in events.between(start, start + _MONTH) if _is_busy(event)]
        if len(found) > MAX_PERIODS:
            raise UnreadableCalendar(CalendarProblem.TOO_MANY_EVENTS)
        start += _MONTH
    return found


def _refuse_endless(events: Iterable[Event]) -> None:
    """A rule that fires every second would cost the worker minutes. No calendar of a person has one."""
    rules = [rule for event in events for rule in _as_list(event.get("RRULE"))]
    for rule in rules:
        is_frequent = _SUB_DAILY & {str(each).upper() for each in _as_list(rule.get("FREQ"))}
        if is_frequent or any(len(_as_list(rule.get(part))) > 1 for part in ("BYHOUR", "BYMINUTE", "BYSECOND")):
            raise UnreadableCalendar(CalendarProblem.TOO_MANY_EVENTS)
    if len(rules) > _MAX_RULES:
        raise UnreadableCalendar(CalendarProblem.TOO_MANY_EVENTS)


def _is_busy(event: Event) -> bool:
    """Not what is marked as free or was called off, nor a session of this platform, which blocks its slot itself."""
    is_free = str(event.get("TRANSP", "")).upper() == "TRANSPARENT"
    is_called_off = str(event.get("STATUS", "")).upper() == "CANCELLED"
    return not is_free and not is_called_off and not is_calendar_uid(str(event.get("UID", "")))


def _period(event: Event, zone: ZoneInfo) -> Period:
    return _in_utc(event.start, zone), _in_utc(event.end, zone)


def _in_utc(at: date, zone: ZoneInfo) -> datetime:
    moment = at if isinstance(at, datetime) else datetime(at.year, at.month, at.day)  # noqa: DTZ001 - zoned below
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _as_list(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]
