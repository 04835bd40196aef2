"""Slots that repeat every week at the same local time."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from models.domain.base import Value
from models.domain.zones import names

_WEEK = timedelta(days=7)


class Weekday(StrEnum):
    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"

    @property
    def number(self) -> int:
        """As returned by `date.weekday`: 0 for Monday."""
        return list(Weekday).index(self)


class Weekly(Value):
    """Every `weekday` at `at`, wall-clock time in `zone`, starting from `first`; through `last`, or `count` times."""

    weekday: Weekday
    at: time
    zone: str
    first: date
    last: date | None = None
    count: int | None = None
    without: frozenset[date] = frozenset()
    """Local days that are left out. They count towards `count`: a series of ten with an exception has nine."""


def in_utc(day: date, at: time, zone: str) -> datetime:
    """When clocks in `zone` show `at` on `day`. Ambiguous and skipped times are resolved as in RFC 5545, 3.3.5.

    A time that occurs twice, because clocks go back, is the first of the two. A time that is skipped, because clocks go
    forward, is read with the offset from before the change: 02:30 becomes 03:30 if an hour is skipped.
    """
    # `fold=0` has exactly this meaning (PEP 495).
    return datetime.combine(day, at.replace(fold=0), known_zone(zone)).astimezone(UTC)


def occurrences(rule: Weekly) -> Iterator[datetime]:
    """The starts in UTC, in order; endless for a rule without an end. Raises `ValueError` for an unknown zone."""
    day = rule.first + timedelta(days=(rule.weekday.number - rule.first.weekday()) % 7)
    number = 0
    while (rule.last is None or day <= rule.last) and (rule.count is None or number < rule.count):
        if day not in rule.without:
            yield in_utc(day, rule.at, rule.zone)
        day, number = day + _WEEK, number + 1


def known_zone(name: str) -> ZoneInfo:
    """Raises `ValueError` if `name` is not in the IANA time zone database."""
    if name not in names():
        raise ValueError("not the name of an IANA time zone, like Europe/Berlin")
    return ZoneInfo(name)
