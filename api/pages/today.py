"""An instructor's day: requests to answer, sessions to hold and report, and what waits for others."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fastapi import Response

from api.bookings import presenters, queries
from api.bookings.filters import BookingFilter
from api.bookings.queries import BookingRecord
from api.bookings.schemas import Booking
from api.http.auth import AsInstructor, Caller
from api.http.database import WithDatabase
from api.pages.bookings import next_moment
from api.pages.page import Page, WithPage, page_router
from api.pages.standing import Possible, Standing, possible, standing
from models.domain.states import BookingStatus
from models.languages import Language
from models.meeting_rooms import WITH_MEETING

router = page_router()

_AHEAD = timedelta(days=7)
_MOST = 100
"""In a list. The page of bookings has all of them."""


@dataclass(frozen=True)
class _Shown:
    booking: Booking
    standing: Standing
    can: Possible
    can_join: bool
    left: str
    """Until its deadline."""
    changes_at: datetime | None


@router.get("/today")
async def today(page: WithPage, caller: AsInstructor, database: WithDatabase) -> Response:
    now = datetime.now(UTC)
    pending = BookingFilter(status=BookingStatus.PENDING).of(caller)
    accepted = BookingFilter(status=BookingStatus.ACCEPTED, starts_before=now + _AHEAD).of(caller)
    async with database.reading() as session:
        found = [
            *await queries.bookings(session, pending, None, _MOST),
            *await queries.bookings(session, accepted, None, _MOST),
        ]
    found.sort(key=lambda record: record.request.starts_at)
    shown = [_shown(page, record, caller, now) for record in found]
    requests = [each for each in shown if each.can.answer]
    sessions = [each for each in shown if each.can_join or each.can.complete or _is_coming(each.booking, now)]
    others = [each for each in shown if each not in requests and each not in sessions]
    changes_at = min((each.changes_at for each in shown if each.changes_at), default=None)
    return page.show("today.html", requests=requests, sessions=sessions, waiting=others, changes_at=changes_at)


def _is_coming(booking: Booking, now: datetime) -> bool:
    return booking.status is BookingStatus.ACCEPTED and booking.starts_at > now


def _shown(page: Page, record: BookingRecord, caller: Caller, now: datetime) -> _Shown:
    booking, is_parked = presenters.booking(record, caller), record.request.needs_attention
    meeting = page.settings.meeting
    has_meeting = page.settings.meetings is not None and booking.session and booking.session.status in WITH_MEETING
    opens_at = booking.starts_at - meeting.meeting_opens_before
    return _Shown(
        booking=booking,
        standing=standing(booking, caller.role, is_parked, False, page.language, page.zone, now),
        can=possible(booking, caller.role, is_parked, now),
        can_join=bool(has_meeting) and opens_at <= now < booking.ends_at + meeting.meeting_grace,
        changes_at=next_moment(booking, opens_at, now),
        left=_left(booking.next_deadline_at - now, page.language) if booking.next_deadline_at else "",
    )


def _left(time: timedelta, language: Language) -> str:
    minutes = max(int(time.total_seconds() // 60), 0)
    if minutes < 60:
        return language.minutes(minutes)
    return language.hours(minutes // 60) if minutes < 48 * 60 else language.days(minutes // (24 * 60))
