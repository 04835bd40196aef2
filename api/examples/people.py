"""OpenAPI examples of what operators see of people: Nadia is suspended."""

from typing import Any

from api.examples.after_session import BOOKING_ID, ENDS_AT, INSTRUCTOR_ID

_NADIA = {
    "id": INSTRUCTOR_ID,
    "role": "instructor",
    "email": "nadia@instructors.example",
    "name": "Nadia Boulanger",
    "time_zone": "Europe/Paris",
    "created_at": "2026-02-20T09:00:00Z",
    "suspended_at": "2026-02-28T15:00:00Z",
}
_OPEN_BOOKING = {
    "id": BOOKING_ID,
    "status": "ACCEPTED",
    "title": "Counterpoint",
    "student_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    "instructor_id": INSTRUCTOR_ID,
    "starts_at": "2026-03-02T17:30:00Z",
    "ends_at": ENDS_AT,
    "needs_attention": False,
}

PEOPLE: dict[str, dict[str, Any]] = {
    "OpenBooking": _OPEN_BOOKING,
    "PersonForOperator": _NADIA,
    "PersonPage": {"data": [_NADIA], "next_cursor": None},
    "Suspension": {"id": INSTRUCTOR_ID, "suspended_at": _NADIA["suspended_at"], "open_bookings": [_OPEN_BOOKING]},
}
"""By schema name."""
