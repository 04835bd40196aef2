"""The API's routes that a browser follows as links: with the session's cookie, and with a page for an error."""

from collections.abc import AsyncIterator

from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.bookings import calendar, event_stream, receipts
from api.bookings.event_stream import WithOwnChanges, WithSubscription
from api.meetings import routes as meetings
from api.pages.page import page_router

router = page_router()

_BOOKING = "/bookings/{booking_id}"
router.add_api_route(f"{_BOOKING}/join", meetings.join, response_model=None)
router.add_api_route(f"{_BOOKING}/calendar.ics", calendar.get_calendar_file)
router.add_api_route(f"{_BOOKING}/receipt.pdf", receipts.get_receipt)


@router.get(f"{_BOOKING}/events", response_class=EventSourceResponse)
async def follow(subscription: WithSubscription) -> AsyncIterator[ServerSentEvent]:
    """That something happened, without a name, so that an `EventSource` needs one listener: the page has the rest."""
    async for event in event_stream.follow(subscription):
        yield ServerSentEvent(id=event.id, data="changed")


@router.get("/changes", response_class=EventSourceResponse)
async def follow_own(changes: WithOwnChanges) -> AsyncIterator[ServerSentEvent]:
    """The same for lists: that one of the reader's bookings, or what they are paid, may have changed."""
    async for _ in changes:
        yield ServerSentEvent(data="changed")
