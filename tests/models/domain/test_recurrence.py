"""A weekly slot keeps its wall-clock time across clock changes."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.recurrence import Weekday, Weekly, in_utc, known_zone, occurrences

# Changes of an hour and of half an hour (Lord Howe), at midnight, in the southern summer, on a Friday; no changes; and
# an offset of 5:45 hours.
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Santiago",
    "Africa/Cairo",
    "Asia/Tokyo",
    "Asia/Kathmandu",
    "Africa/Casablanca",
]
CLOCK = st.builds(time, st.integers(0, 23), st.integers(0, 59))
DAYS = st.dates(date(2000, 1, 1), date(2037, 1, 1))
RULES = st.builds(
    Weekly,
    weekday=st.sampled_from(Weekday),
    at=CLOCK,
    zone=st.sampled_from(ZONES),
    first=DAYS,
    count=st.integers(1, 110),
)


def exists(day: date, at: time, zone: str) -> bool:
    """Whether clocks show this time on that day: converting to UTC and back gives the same time."""
    local = datetime.combine(day, at, ZoneInfo(zone))
    return local.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local.replace(tzinfo=None)


@given(RULES)
def test_occurrence_has_the_rules_weekday_and_time_unless_skipped(rule: Weekly) -> None:
    starts = list(occurrences(rule))
    assert len(starts) == rule.count
    for number, starts_at in enumerate(starts):
        day = rule.first + timedelta(days=(rule.weekday.number - rule.first.weekday()) % 7 + 7 * number)
        local = starts_at.astimezone(ZoneInfo(rule.zone))
        if exists(day, rule.at, rule.zone):
            assert (local.date(), local.time()) == (day, rule.at)
            assert local.weekday() == rule.weekday.number
        else:
            assert local.replace(tzinfo=None) > datetime.combine(day, rule.at)


@given(RULES)
def test_occurrences_are_a_week_apart_except_across_clock_changes(rule: Weekly) -> None:
    for earlier, later in pairwise(occurrences(rule)):
        assert abs(later - earlier - timedelta(days=7)) <= timedelta(hours=1)


@given(RULES, DAYS)
def test_last_date_ends_the_rule_as_a_count_does(rule: Weekly, last: date) -> None:
    until = rule.model_copy(update={"count": None, "last": last})
    starts = list(islice(occurrences(until), 110))
    counted = rule.model_copy(update={"count": max(len(starts), 1)})
    if starts:
        assert starts == list(occurrences(counted))
        assert starts[-1].astimezone(ZoneInfo(rule.zone)).date() <= last + timedelta(days=1)
    else:
        assert next(occurrences(counted)) > in_utc(last, time(23, 59), rule.zone) - timedelta(hours=1)


@given(DAYS, CLOCK, st.sampled_from(ZONES))
def test_ambiguous_time_is_the_first_of_the_two(day: date, at: time, zone: str) -> None:
    first, second = (datetime.combine(day, at.replace(fold=fold), ZoneInfo(zone)).astimezone(UTC) for fold in (0, 1))
    if exists(day, at, zone):
        assert in_utc(day, at, zone) == min(first, second)


@pytest.mark.parametrize(
    ("day", "at", "zone", "utc"),
    [
        # Winter and summer time.
        (date(2026, 3, 23), time(18, 30), "Europe/Berlin", "2026-03-23T17:30"),
        (date(2026, 3, 30), time(18, 30), "Europe/Berlin", "2026-03-30T16:30"),
        # Skipped: 02:30 is read as 03:30 in Berlin.
        (date(2026, 3, 29), time(2, 30), "Europe/Berlin", "2026-03-29T01:30"),
        (date(2026, 3, 8), time(2, 0), "America/New_York", "2026-03-08T07:00"),
        (date(2026, 10, 4), time(2, 15), "Australia/Lord_Howe", "2026-10-03T15:45"),
        # Ambiguous: the first of the two.
        (date(2026, 10, 25), time(2, 30), "Europe/Berlin", "2026-10-25T00:30"),
        (date(2026, 11, 1), time(1, 30), "America/New_York", "2026-11-01T05:30"),
        (date(2026, 4, 5), time(1, 45), "Australia/Lord_Howe", "2026-04-04T14:45"),
    ],
)
def test_skipped_and_ambiguous_times(day: date, at: time, zone: str, utc: str) -> None:
    assert in_utc(day, at, zone) == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.parametrize("name", ["", "Berlin", "Europe", "../etc/passwd", "/etc/localtime", "europe/berlin", "a\0b"])
def test_unknown_time_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="IANA"):
        known_zone(name)


def test_exceptions_are_left_out_and_count() -> None:
    days = [date(2026, 3, 2), date(2026, 3, 9), date(2026, 3, 16)]
    rule = Weekly(weekday=Weekday.MONDAY, at=time(18), zone="UTC", first=days[0], count=3)
    without = rule.model_copy(update={"without": frozenset({days[1], date(2026, 3, 10)})})
    assert [each.date() for each in occurrences(without)] == [days[0], days[2]]
    assert list(occurrences(rule.model_copy(update={"without": frozenset(days)}))) == []
