"""Drawings as numbers for SVG attributes: attendance on the session's time, and figures over time.

The templates draw them, each beside a list or a table with the same numbers.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from api.bookings.operator_schemas import MeetingPresence
from api.bookings.schemas import BookingForOperator

WIDTH, HEIGHT = 600, 160
_FEWEST = 12


class Bar(NamedTuple):
    x: float
    width: float
    y: float
    height: float


class AttendanceBars(NamedTuple):
    """On an axis that reaches a fifth of the session beyond each end."""

    starts_x: float
    ends_x: float
    student: list[Bar]
    instructor: list[Bar]


def attendance_bars(booking: BookingForOperator) -> AttendanceBars | None:
    """`None` if nobody was in the meeting."""
    seen = booking.attendance
    if seen is None or not (seen.student.visits or seen.instructor.visits):
        return None
    begin, end = booking.starts_at.timestamp(), booking.ends_at.timestamp()
    margin = (end - begin) / 5
    scale = WIDTH / (end - begin + 2 * margin)

    def x(at: datetime | float) -> float:
        seconds = at if isinstance(at, float) else at.timestamp()
        return round(min(max((seconds - begin + margin) * scale, 0), WIDTH), 1)

    def bars(presence: MeetingPresence, y: float) -> list[Bar]:
        visits = [visit for visit in presence.visits if visit.joined_at is not None]
        spans = [(x(visit.joined_at), x(visit.left_at or end)) for visit in visits if visit.joined_at]
        return [Bar(left, max(round(right - left, 1), 2), y, 22) for left, right in spans]

    return AttendanceBars(x(begin), x(end), bars(seen.student, 8), bars(seen.instructor, 38))


def columns(values: Sequence[int]) -> list[Bar]:
    """One column for each value, as high as its part of the greatest. A value below zero has no height.

    A few values stay narrow columns at the left.
    """
    if not values:
        return []
    most, step = max(*values, 1), WIDTH / max(len(values), _FEWEST)
    bars = []
    for at, value in enumerate(values):
        height = round(max(value, 0) / most * HEIGHT, 1)
        bars.append(Bar(round(at * step + step * 0.1, 1), round(step * 0.8, 1), round(HEIGHT - height, 1), height))
    return bars
