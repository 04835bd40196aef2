"""Calendar files for tests."""

from uuid import uuid4


def event(*lines: str) -> str:
    """With a title that nobody may store. A `UID` is added if there is none."""
    uid = () if any(line.startswith("UID:") for line in lines) else (f"UID:{uuid4()}",)
    return "\r\n".join(("BEGIN:VEVENT", *uid, "DTSTAMP:20260101T000000Z", "SUMMARY:Dentist", *lines, "END:VEVENT"))


def calendar(*events: str) -> bytes:
    return "\r\n".join(("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Test//EN", *events, "END:VCALENDAR", "")).encode()
