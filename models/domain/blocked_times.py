"""Times that are not offered, because the instructor's own calendar has something then."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

Period = tuple[datetime, datetime]

READ_EVERY = timedelta(hours=1)
AHEAD = timedelta(days=366)
"""How far ahead a calendar is read."""
MAX_PERIODS = 5_000
MAX_BYTES = 2 * 1024 * 1024


class CalendarProblem(StrEnum):
    """Why a calendar could not be read. Clients branch on it, and the pages have a sentence for each."""

    ADDRESS_NOT_PUBLIC = "address_not_public"
    NAME_NOT_RESOLVED = "name_not_resolved"
    CONNECTION_FAILED = "connection_failed"
    TIMEOUT = "timeout"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    GONE = "gone"
    """401, 403, 404 or 410: it was deleted, or is not shared any more."""
    STATUS = "status"
    """Another status than 200."""
    TOO_LARGE = "too_large"
    NOT_A_CALENDAR = "not_a_calendar"
    TOO_MANY_EVENTS = "too_many_events"


class UnreadableCalendar(Exception):
    """The message has neither the address nor anything of the calendar."""

    def __init__(self, problem: CalendarProblem) -> None:
        super().__init__(problem.value)
        self.problem = problem


def merged(periods: Iterable[Period]) -> list[Period]:
    """The same time in as few periods as possible, earliest first."""
    found: list[Period] = []
    for starts_at, ends_at in sorted(periods):
        if ends_at <= starts_at:
            continue
        if found and starts_at <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], ends_at))
        else:
            found.append((starts_at, ends_at))
    return found
