"""Who was in a meeting, and for how long, from what the meeting's provider reported.

Reports may come twice and in any order, and may be missing. So what a report is silent about stays visible: a visit
without a `joined_at` or a `left_at`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from models.domain.actors import SignUpRole
from models.domain.base import Value


class MeetingProvider(StrEnum):
    """Whose meetings they are."""

    JITSI = "jitsi"
    """A Jitsi Meet of one's own."""
    JAAS = "jaas"
    """8x8's Jitsi as a Service."""


class AttendanceKind(StrEnum):
    JOINED = "joined"
    LEFT = "left"
    RECORDING_UPLOADED = "recording_uploaded"


class Sighting(Value):
    """What one report says."""

    id: str
    kind: AttendanceKind
    role: SignUpRole | None = None
    """Who joined or left; `None` for a recording."""
    connection: str | None = None
    """The provider's name for one connection: a person has two of them in two tabs."""
    at: datetime


class Visit(Value):
    """One connection's time in the meeting."""

    joined_at: datetime | None
    """`None`: that they were there is known only from their leaving. Such a visit counts for no time."""
    left_at: datetime | None
    """`None`: no report of leaving. Such a visit counts as lasting until now, or until the session's end."""


class Presence(Value):
    visits: tuple[Visit, ...]
    """The earliest first, also those before and after the session's time."""
    total: timedelta
    """Within the session's time; two connections at once count once."""


class Attendance(Value):
    student: Presence
    instructor: Presence
    together: timedelta
    """Within the session's time, both present."""
    recordings_uploaded_at: tuple[datetime, ...]


_Span = tuple[datetime, datetime]

# A connection that joins and leaves in one moment does so in this order.
_ORDER = list(AttendanceKind)


def attendance(sightings: Iterable[Sighting], starts_at: datetime, ends_at: datetime, now: datetime) -> Attendance:
    """What is known at `now` of a session that takes place from `starts_at` to `ends_at`."""
    reports = sorted(
        {each.id: each for each in sightings}.values(), key=lambda it: (it.at, _ORDER.index(it.kind), it.id)
    )
    until = min(now, ends_at)
    visits = {role: _visits(reports, role) for role in SignUpRole}
    spans = {role: _merged(visits[role], starts_at, until) for role in SignUpRole}
    presences = {role: Presence(visits=tuple(visits[role]), total=_total(spans[role])) for role in SignUpRole}
    return Attendance(
        student=presences[SignUpRole.STUDENT],
        instructor=presences[SignUpRole.INSTRUCTOR],
        together=_total(_overlap(spans[SignUpRole.STUDENT], spans[SignUpRole.INSTRUCTOR])),
        recordings_uploaded_at=tuple(it.at for it in reports if it.kind is AttendanceKind.RECORDING_UPLOADED),
    )


def _visits(reports: Sequence[Sighting], role: SignUpRole) -> list[Visit]:
    """`reports` in the order of their times. One that tells nothing new about its connection is passed over."""
    last: dict[str | None, int] = {}
    visits: list[Visit] = []
    for report in reports:
        if report.role is not role:
            continue
        place = last.get(report.connection)
        is_present = place is not None and visits[place].left_at is None
        if report.kind is AttendanceKind.JOINED and not is_present:
            last[report.connection] = len(visits)
            visits.append(Visit(joined_at=report.at, left_at=None))
        elif report.kind is AttendanceKind.LEFT and place is None:
            last[report.connection] = len(visits)
            visits.append(Visit(joined_at=None, left_at=report.at))
        elif report.kind is AttendanceKind.LEFT and place is not None and is_present:
            visits[place] = visits[place].model_copy(update={"left_at": report.at})
    return visits


def _merged(visits: Iterable[Visit], starts_at: datetime, until: datetime) -> list[_Span]:
    """Their time between the two moments, as spans that do not touch."""
    merged: list[_Span] = []
    # They come in the order of their beginnings.
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


def _overlap(ones: Sequence[_Span], others: Sequence[_Span]) -> list[_Span]:
    return [
        (max(one[0], other[0]), min(one[1], other[1]))
        for one in ones
        for other in others
        if max(one[0], other[0]) < min(one[1], other[1])
    ]


def _total(spans: Iterable[_Span]) -> timedelta:
    return sum((end - begin for begin, end in spans), timedelta(0))
