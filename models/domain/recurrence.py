"""Sessions that take place every week at the same time of day, where the instructor lives."""

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
        """As `date.weekday` has it."""
        return list(Weekday).index(self)


class Weekly(Value):
    """On `weekday` at `at`, wall-clock time in `zone`, from `first` on: until `last`, or `count` times."""

    weekday: Weekday
    at: time
    zone: str
    first: date
    last: date | None = None
    count: int | None = None


def in_utc(day: date, at: time, zone: str) -> datetime:
    """When the clocks of `zone` show `at` on `day`; for the two hours that are not so plain, by RFC 5545, 3.3.5.

    A time that comes twice, when clocks are put back, is the first of the two. A time that is skipped, when clocks are
    put forward, is read with the offset from before the change: 02:30 becomes 03:30 where an hour is skipped.
    """
    # `fold=0` means exactly that (PEP 495).
    return datetime.combine(day, at.replace(fold=0), known_zone(zone)).astimezone(UTC)


def occurrences(rule: Weekly) -> Iterator[datetime]:
    """Their starts in UTC, one by one; without end for a rule without one. Raises `ValueError` for an unknown zone."""
    day = rule.first + timedelta(days=(rule.weekday.number - rule.first.weekday()) % 7)
    number = 0
    while (rule.last is None or day <= rule.last) and (rule.count is None or number < rule.count):
        yield in_utc(day, rule.at, rule.zone)
        day, number = day + _WEEK, number + 1


def known_zone(name: str) -> ZoneInfo:
    """Raises `ValueError` for what is no name of the IANA time zone database."""
    if name not in names():
        raise ValueError("not the name of an IANA time zone, like Europe/Berlin")
    return ZoneInfo(name)
