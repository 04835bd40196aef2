"""Join links: one per person, issued on request, for one room and a few minutes."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header
from starlette.responses import RedirectResponse

from api.bookings import queries
from api.bookings.queries import BookingRecord
from api.bookings.schemas import MeetingLink
from api.http.auth import AsEitherSide
from api.http.database import WithDatabase
from api.http.problems import Kind, Problem, problem_responses
from api.meeting_provider import Admission, MeetingSettings
from api.settings import WithSettings
from models.domain.actors import Role
from models.meeting_rooms import WITH_MEETING
from models.tables.bookings import LiveSession

router = APIRouter(prefix="/v1/bookings/{booking_id}", tags=["bookings"])

_CLOCK_SKEW = timedelta(minutes=1)
"""The meeting server's clock may be behind ours: without this, a new token would not be valid there yet."""

_LINK_LASTS = timedelta(minutes=15)
"""A link admits whoever has it. It cannot be taken back, so after a sign-out or a cancellation it has to end by itself.
Whoever is in the meeting stays in it."""


@router.get(
    "/join",
    operation_id="getMeetingLink",
    response_model=MeetingLink,
    responses={
        303: {"description": "Redirect to the meeting, for a request that accepts `text/html`."},
        **problem_responses(
            Kind.NOT_SIGNED_IN,
            Kind.WRONG_ROLE,
            Kind.NOT_FOUND,
            Kind.MEETINGS_NOT_SET_UP,
            Kind.MEETING_NOT_OPEN,
            Kind.NOT_POSSIBLE_NOW,
            Kind.BOOKING_CLOSED,
            Kind.BOOKING_DELETED,
            Kind.REQUEST_INVALID,
            Kind.INTERNAL,
            Kind.UNAVAILABLE,
        ),
    },
)
async def join(
    booking_id: UUID,
    caller: AsEitherSide,
    database: WithDatabase,
    settings: WithSettings,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> MeetingLink | RedirectResponse:
    """The caller's personal link to the meeting. Anyone who has the link joins as the caller: do not share it."""
    async with database.reading() as session:
        record = await queries.existing_booking(session, booking_id, caller)
        name = await queries.name_of(session, caller)
    if settings.meetings is None:
        raise Problem(Kind.MEETINGS_NOT_SET_UP)
    live_session, now = _scheduled_session(record), datetime.now(UTC)
    expires_at = min(_closes_at(record, settings.meeting, now), now + _LINK_LASTS)
    url = settings.meetings.link(
        Admission(
            room=live_session.room,
            person_id=caller.id,
            name=name,
            is_moderator=caller.role is Role.INSTRUCTOR,
            is_recorded=record.request.is_recorded,
            not_before=now - _CLOCK_SKEW,
            expires_at=expires_at,
        )
    )
    if "text/html" in accept:
        return RedirectResponse(url, status_code=303)
    return MeetingLink(url=url, room=live_session.room, expires_at=expires_at, is_recorded=record.request.is_recorded)


def _scheduled_session(record: BookingRecord) -> LiveSession:
    """Raises the 409 `Problem` if there is none."""
    status = record.request.status
    if record.session is not None and record.session.status in WITH_MEETING:
        return record.session
    if record.is_closed:
        raise Problem(Kind.BOOKING_CLOSED, "The session has ended, and so has its meeting.", booking_status=status)
    raise Problem(
        Kind.NOT_POSSIBLE_NOW, "You can join once the instructor has confirmed the booking.", booking_status=status
    )


def _closes_at(record: BookingRecord, settings: MeetingSettings, now: datetime) -> datetime:
    """When the meeting closes. Raises the 409 `Problem` if it is not open now."""
    opens_at = record.request.starts_at - settings.meeting_opens_before
    closes_at = record.request.ends_at + settings.meeting_grace
    if opens_at <= now < closes_at:
        return closes_at
    opens, closes = (f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in (opens_at, closes_at))
    detail = f"It opens at {opens}." if now < opens_at else f"It closed at {closes}."
    raise Problem(Kind.MEETING_NOT_OPEN, detail, opens_at=opens, closes_at=closes)
