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

_TOKEN = {
    "id": "5d0f2b7e-8c41-4a93-b6e5-1f7a9c3d2e80",
    "name": "My calendar agent",
    "scopes": ["bookings:read", "bookings:write"],
    "spend_limit": {"amount_minor": 20_000, "currency": "usd"},
    "created_at": "2026-02-27T10:00:00Z",
    "expires_at": "2026-05-28T10:00:00Z",
    "revoked_at": None,
}

PEOPLE: dict[str, dict[str, Any]] = {
    "CalendarAddress": {"url": "https://calendar.example/ical/nadia%40instructors.example/private-0f3a/basic.ics"},
    "InstructorCalendarState": {"host": "calendar.example", "read_at": "2026-02-28T15:00:00Z", "problem": None},
    "NewServiceToken": {name: _TOKEN[name] for name in ("name", "scopes", "expires_at", "spend_limit")},
    "OpenBooking": _OPEN_BOOKING,
    "ServiceTokenCreated": _TOKEN | {"token": "hft_q1V0pS7mX2yJ9cLr4TzWb8NfKdHgUe3oAi6RvYxQ5sM"},
    "ServiceTokenDetails": _TOKEN,
    "ServiceTokenPage": {"data": [_TOKEN], "next_cursor": None},
    "PersonExport": {
        "id": INSTRUCTOR_ID,
        "exported_at": "2026-03-03T09:00:00Z",
        "records": {"credential": [{"email": _NADIA["email"], "person_id": INSTRUCTOR_ID, "role": "instructor"}]},
    },
    "PersonForOperator": _NADIA,
    "PersonPage": {"data": [_NADIA], "next_cursor": None},
    "Suspension": {"id": INSTRUCTOR_ID, "suspended_at": _NADIA["suspended_at"], "open_bookings": [_OPEN_BOOKING]},
}
"""By schema name."""
