"""A session as an iCalendar file, for mails and for the API (RFC 5545; invitations: RFC 5546)."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from icalendar import Calendar, Event, vCalAddress

from models.domain.ids import calendar_uid
from models.domain.states import SessionStatus
from models.languages import Language
from models.tables.bookings import BookingRequest, LiveSession

MEDIA_TYPE = "text/calendar"
FILE_NAME = "session.ics"


@dataclass(frozen=True)
class Appointment:
    """The session as it appears in one participant's calendar. Times are UTC, which every calendar converts."""

    booking_id: UUID
    summary: str
    starts_at: datetime
    ends_at: datetime
    is_cancelled: bool
    sequence: int
    changed_at: datetime
    join_url: str


class Party(NamedTuple):
    name: str
    email: str


def appointment(
    booking: BookingRequest, live_session: LiveSession, other: str, language: Language, public_url: str
) -> Appointment:
    """The session as currently recorded, for one participant; `other` is the other participant's name."""
    return Appointment(
        booking_id=booking.id,
        summary=language.gettext("%(title)s with %(name)s", title=booking.title, name=other),
        starts_at=booking.starts_at,
        ends_at=booking.ends_at,
        is_cancelled=live_session.status is SessionStatus.CANCELLED,
        sequence=live_session.calendar_sequence,
        changed_at=live_session.updated_at,
        join_url=join_url(public_url, booking.id),
    )


def join_url(public_url: str, booking_id: UUID) -> str:
    return f"{public_url.rstrip('/')}/bookings/{booking_id}/join"


def booking_url(public_url: str, booking_id: UUID) -> str:
    return f"{public_url.rstrip('/')}/bookings/{booking_id}"


def receipt_url(public_url: str, booking_id: UUID) -> str:
    return f"{public_url.rstrip('/')}/bookings/{booking_id}/receipt.pdf"


def reset_url(public_url: str, token: str, language: str) -> str:
    """The token is in the fragment, which browsers do not send: it appears in no server log and in no `Referer`."""
    return f"{public_url.rstrip('/')}/password-reset?language={language}#{token}"


def verification_url(public_url: str, token: str, language: str) -> str:
    """With the token in the fragment, as in `reset_url`."""
    return f"{public_url.rstrip('/')}/verify?language={language}#{token}"


def invitation(appointment: Appointment, organizer: Party, attendee: Party) -> tuple[str, bytes]:
    """The method (`REQUEST` or `CANCEL`) and the file for a mail that adds, moves or removes the session.

    The recipient is the only attendee: neither side learns the other's address.
    """
    event = _event(appointment)
    event.add("organizer", _address(organizer))
    recipient = _address(attendee)
    recipient.params["PARTSTAT"] = "ACCEPTED"
    recipient.params["RSVP"] = "FALSE"
    event.add("attendee", recipient)
    method = "CANCEL" if appointment.is_cancelled else "REQUEST"
    return method, _file(event, method)


def calendar_file(appointment: Appointment) -> bytes:
    """The session as a file to import manually."""
    return _file(_event(appointment))


def _event(appointment: Appointment) -> Event:
    event = Event()
    event.add("uid", calendar_uid(appointment.booking_id))
    event.add("sequence", appointment.sequence)
    event.add("dtstamp", appointment.changed_at)
    event.add("dtstart", appointment.starts_at)
    event.add("dtend", appointment.ends_at)
    event.add("summary", appointment.summary)
    event.add("status", "CANCELLED" if appointment.is_cancelled else "CONFIRMED")
    if not appointment.is_cancelled:
        event.add("location", appointment.join_url)
        event.add("url", appointment.join_url)
    return event


def _address(party: Party) -> vCalAddress:
    address = vCalAddress(f"mailto:{party.email}")
    # A parameter value cannot contain a double quote, not even an escaped one (RFC 5545, 3.2).
    address.params["CN"] = party.name.replace('"', "'")
    return address


def _file(event: Event, method: str | None = None) -> bytes:
    calendar = Calendar()
    calendar.add("prodid", "-//Holdfast//Bookings//EN")
    calendar.add("version", "2.0")
    if method:
        calendar.add("method", method)
    calendar.add_component(event)
    file: bytes = calendar.to_ical()
    return file
