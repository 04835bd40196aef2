"""Who was in a meeting and for how long, computed from the meeting provider's reports.

Reports can be duplicated, out of order or missing. Gaps stay visible, as a visit without `joined_at` or `left_at`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from models.domain.actors import SignUpRole
from models.domain.base import Value


class MeetingProvider(StrEnum):
    """Who hosts the meetings."""

    JITSI = "jitsi"
    """Self-hosted Jitsi Meet."""
    JAAS = "jaas"
    """8x8's Jitsi as a Service."""


class AttendanceKind(StrEnum):
    JOINED = "joined"
    LEFT = "left"
    RECORDING_UPLOADED = "recording_uploaded"


class AttendanceReport(Value):
    """One report of the provider."""

    id: str
    kind: AttendanceKind
    role: SignUpRole | None = None
    """Who joined or left; `None` for a recording."""
    connection: str | None = None
    """The provider's id of one connection. A person with two open tabs has two."""
    at: datetime


class Visit(Value):
    """One connection's time in the meeting."""

    joined_at: datetime | None
    """`None`: only the leaving was reported. The visit counts as zero time."""
    left_at: datetime | None
    """`None`: no leaving was reported. The visit lasts until now, or until the session's end."""


class Presence(Value):
    visits: tuple[Visit, ...]
    """Earliest first, including those outside the session's time."""
    came: bool
    """Whether any visit falls into the session's time, even one of unknown length."""
    total: timedelta
    """Within the session's time; overlapping connections count once."""


class Attendance(Value):
    student: Presence
    instructor: Presence
    together: timedelta
    """Time within the session in which both were present."""
    recordings_uploaded_at: tuple[datetime, ...]


_Span = tuple[datetime, datetime]

# Of two reports with the same time, joining comes before leaving.
_ORDER = list(AttendanceKind)


def attendance(
    sightings: Iterable[AttendanceReport], starts_at: datetime, ends_at: datetime, now: datetime
) -> Attendance:
    """The attendance known at `now` of a session from `starts_at` to `ends_at`."""
    reports = sorted(
        {report.id: report for report in sightings}.values(),
        key=lambda report: (report.at, _ORDER.index(report.kind), report.id),
    )
    until = min(now, ends_at)
    visits = {role: _visits(reports, role) for role in SignUpRole}
    spans = {role: _merged(visits[role], starts_at, until) for role in SignUpRole}
    presences = {
        role: Presence(
            visits=tuple(visits[role]),
            came=any(_falls_between(visit, starts_at, until) for visit in visits[role]),
            total=_total(spans[role]),
        )
        for role in SignUpRole
    }
    return Attendance(
        student=presences[SignUpRole.STUDENT],
        instructor=presences[SignUpRole.INSTRUCTOR],
        together=_total(_overlap(spans[SignUpRole.STUDENT], spans[SignUpRole.INSTRUCTOR])),
        recordings_uploaded_at=tuple(
            report.at for report in reports if report.kind is AttendanceKind.RECORDING_UPLOADED
        ),
    )


def _visits(reports: Sequence[AttendanceReport], role: SignUpRole) -> list[Visit]:
    """`reports` must be sorted by time. One that adds nothing about its connection is skipped."""
    latest: dict[str | None, int] = {}
    visits: list[Visit] = []
    for report in reports:
        if report.role is not role:
            continue
        index = latest.get(report.connection)
        is_present = index is not None and visits[index].left_at is None
        if report.kind is AttendanceKind.JOINED and not is_present:
            latest[report.connection] = len(visits)
            visits.append(Visit(joined_at=report.at, left_at=None))
        elif report.kind is AttendanceKind.LEFT and index is None:
            latest[report.connection] = len(visits)
            visits.append(Visit(joined_at=None, left_at=report.at))
        elif report.kind is AttendanceKind.LEFT and index is not None and is_present:
            visits[index] = visits[index].model_copy(update={"left_at": report.at})
    return visits


def _falls_between(visit: Visit, starts_at: datetime, until: datetime) -> bool:
    came_in_time = visit.joined_at is None or visit.joined_at < until
    return came_in_time and (visit.left_at is None or visit.left_at > starts_at)


def _merged(visits: Iterable[Visit], starts_at: datetime, until: datetime) -> list[_Span]:
    """The visits between the two times, merged into disjoint spans."""
    merged: list[_Span] = []
    # `visits` is sorted by start.
    for visit in visits:
        if visit.joined_at is None:
            continue
        begin, end = max(visit.joined_at, starts_at), min(visit.left_at or until, until)
        if merged and begin <= merged[-1][1]:
            begin, end = merged[-1][0], max(merged[-1][1], end)
            merged.pop()
        if begin < end:
            merged.append((begin, end))
    return merged


def _overlap(left: Sequence[_Span], right: Sequence[_Span]) -> list[_Span]:
    return [
        (max(one[0], other[0]), min(one[1], other[1]))
        for one in left
        for other in right
        if max(one[0], other[0]) < min(one[1], other[1])
    ]


def _total(spans: Iterable[_Span]) -> timedelta:
    return sum((end - begin for begin, end in spans), timedelta(0))
