"""A booking for its two sides: the list of one's own, and the page of one with everything that can be done."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import Query, Response

from api.bookings import presenters, queries
from api.bookings.filters import BookingFilter
from api.bookings.queries import BookingRecord
from api.bookings.schemas import Booking
from api.http.auth import AsEitherSide, Caller
from api.http.database import Database, WithDatabase
from api.http.pagination import PageParams
from api.http.problems import Kind, Problem
from api.pages import stories
from api.pages.forms import Typed
from api.pages.page import Page, WithPage, page_router
from api.pages.standing import Standing, possible, standing
from models.domain.actors import Role
from models.domain.declines import advice
from models.meeting_rooms import WITH_MEETING

router = page_router()


@router.get("/bookings")
async def list_own(
    page: WithPage,
    caller: AsEitherSide,
    position: PageParams,
    database: WithDatabase,
    past: Annotated[bool, Query()] = False,
) -> Response:
    filters = BookingFilter(is_open=not past).of(caller)
    async with database.reading() as session:
        found = await queries.bookings(session, filters, position.after, position.limit + 1)
    cursor = presenters.next_cursor(found, position.limit)
    records = found[: position.limit]
    if not past:
        records = sorted(records, key=lambda record: record.request.starts_at)
    shown = [
        (booking, _standing(page, booking, record, caller))
        for record in records
        for booking in [presenters.booking(record, caller)]
    ]
    more = page.url("/bookings", past="yes" if past else None, cursor=cursor) if cursor else None
    return page.show("bookings.html", bookings=shown, past=past, next_page=more)


@router.get("/bookings/{booking_id}")
async def show(
    booking_id: UUID,
    page: WithPage,
    caller: AsEitherSide,
    database: WithDatabase,
    returned: Annotated[bool, Query()] = False,
) -> Response:
    """`returned`: from Checkout."""
    return await booking_page(page, booking_id, caller, database, has_returned=returned)


async def booking_page(
    page: Page,
    booking_id: UUID,
    caller: Caller,
    database: Database,
    status: int = 200,
    typed: Typed | None = None,
    has_returned: bool = False,
) -> Response:
    """The page of one booking; also the answer to a form on it that was refused, as `typed` says."""
    try:
        async with database.reading() as session:
            record = await queries.existing_booking(session, booking_id, caller)
            events = await queries.events(session, booking_id, caller, 0)
    except Problem as problem:
        if problem.kind is not Kind.BOOKING_DELETED:
            raise
        said = advice(str(problem.members.get("advice_code")))
        return page.show("booking_deleted.html", problem.status_code, deleted=problem.members, advice=said)
    booking, now = presenters.booking(record, caller), datetime.now(UTC)
    meeting = page.settings.meeting
    opens_at = booking.starts_at - meeting.meeting_opens_before
    has_meeting = page.settings.meetings is not None and booking.session and booking.session.status in WITH_MEETING
    return page.show(
        "booking.html",
        status,
        booking=booking,
        standing=_standing(page, booking, record, caller, has_returned),
        can=possible(booking, caller.role, record.request.needs_attention, now),
        other=booking.instructor_name if caller.role is Role.STUDENT else booking.student_name,
        opens_at=opens_at if has_meeting and now < booking.ends_at + meeting.meeting_grace else None,
        changes_at=next_moment(booking, opens_at, now),
        can_join=has_meeting and opens_at <= now < booking.ends_at + meeting.meeting_grace,
        story=stories.told(events, page.language),
        typed=typed or Typed(),
    )


def next_moment(booking: Booking, opens_at: datetime, now: datetime) -> datetime | None:
    """When a page with the booking changes although nothing happens to it."""
    waited = timedelta(seconds=booking.policy.deadlines.report_no_show_after_seconds)
    moments = (opens_at, booking.starts_at, booking.starts_at + waited, booking.ends_at)
    return min((at for at in moments if at > now), default=None)


def _standing(
    page: Page, booking: Booking, record: BookingRecord, caller: Caller, has_returned: bool = False
) -> Standing:
    is_parked = record.request.needs_attention
    return standing(booking, caller.role, is_parked, has_returned, page.language, page.zone, datetime.now(UTC))
