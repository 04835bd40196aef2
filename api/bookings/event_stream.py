"""A booking's audit trail as server-sent events, live."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from api.bookings import queries
from api.bookings.event_feed import EventFeed, Position
from api.bookings.schemas import BookingEvent
from api.http.auth import AsAnyRole, AsEitherSide, Caller, is_still
from api.http.database import Database, WithDatabase
from api.http.notify_listener import NotifyListener, of_person
from api.http.problems import Kind, busy, problem_responses
from api.http.rate_limits import rate_limited
from api.http.schema_types import REFERENCE

_RETRY_AFTER_SECONDS = 30

EVENT_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events. The `data` of each is a `BookingEvent` in JSON.",
        "content": {"text/event-stream": {"schema": {"$ref": REFERENCE.format(model=BookingEvent.__name__)}}},
    }
}
"""OpenAPI 3.1 has no word for the items of a stream. Generators that know streams take the schema for an event's."""


router = APIRouter(prefix="/v1/bookings/{booking_id}", tags=["bookings"])


class StreamFinished(Exception):
    """Everything was sent. A 204 stops an `EventSource` from reconnecting (HTML standard, "Server-sent events")."""


async def on_stream_finished(_: Request, __: Exception) -> Response:
    return Response(status_code=204)


class EventStreams:
    """The open streams of this process: how they are woken, how many there may be, and how long they may last."""

    def __init__(
        self,
        listener: NotifyListener,
        *,
        max_duration: timedelta = timedelta(hours=1),
        poll_interval: timedelta = timedelta(seconds=30),
        list_interval: timedelta = timedelta(minutes=5),
        max_per_person: int = 10,
        max_in_process: int = 500,
    ) -> None:
        self.listener = listener
        self.feed = EventFeed(listener)
        # The client then has to reconnect, with a token that is still valid.
        self.max_duration = max_duration
        # Streams also poll, in case LISTEN is not available.
        self.poll_interval = poll_interval
        # A list is loaded again as a whole, so less often.
        self.list_interval = list_interval
        self._max_per_person = max_per_person
        self._max_in_process = max_in_process
        self._open: Counter[UUID] = Counter()

    @contextmanager
    def opened(self, person_id: UUID) -> Iterator[None]:
        """Count a stream until the block ends. Raises the 429 or 503 `Problem` if there are too many."""
        if self._open[person_id] >= self._max_per_person:
            raise rate_limited("streams", f"At most {self._max_per_person} at the same time.", _RETRY_AFTER_SECONDS)
        if self._open.total() >= self._max_in_process:
            raise busy(_RETRY_AFTER_SECONDS)
        self._open[person_id] += 1
        try:
            yield
        finally:
            self._open -= Counter([person_id])  # which drops a person who has none left


@dataclass(frozen=True)
class Subscription:
    """A caller who may see the booking, and the last event that they received."""

    booking_id: UUID
    caller: Caller
    is_signed_in: Callable[[], Awaitable[bool]]
    """Whether the caller's token is still valid."""
    last_seq: int
    database: Database
    streams: EventStreams


async def _subscription(
    request: Request,
    booking_id: UUID,
    caller: AsAnyRole,
    database: WithDatabase,
    last_event_id: Annotated[
        int, Header(alias="Last-Event-ID", ge=0, lt=2**63, description="Resume after this event.")
    ] = 0,
) -> AsyncIterator[Subscription]:
    """Open until the stream ends. Raises a `Problem` or `StreamFinished` while the status can still be set."""
    streams: EventStreams = request.app.state.streams
    with streams.opened(caller.id):
        async with database.reading() as session:
            record = await queries.existing_booking(session, booking_id, caller)
            if record.is_closed and not await queries.events(session, booking_id, caller, last_event_id):
                raise StreamFinished
        is_signed_in = partial(is_still, caller, request)
        yield Subscription(booking_id, caller, is_signed_in, last_event_id, database, streams)


WithSubscription = Annotated[Subscription, Depends(_subscription)]


@router.get(
    "/events",
    operation_id="streamBookingEvents",
    response_class=EventSourceResponse,
    responses={
        **EVENT_STREAM,
        204: {"description": "The booking is closed and its last event has been sent."},
        **problem_responses(
            Kind.NOT_SIGNED_IN,
            Kind.NOT_FOUND,
            Kind.BOOKING_DELETED,
            Kind.REQUEST_INVALID,
            Kind.INTERNAL,
            Kind.BUSY,
            Kind.UNAVAILABLE,
        ),
    },
)
async def follow(subscription: WithSubscription) -> AsyncIterator[ServerSentEvent]:
    """Stream the booking's events: those since `Last-Event-ID`, then new ones until the booking is closed.

    Ends early if the caller signs out, or their token becomes invalid in another way.
    """
    streams, caller, last_seq = subscription.streams, subscription.caller, subscription.last_seq
    was_woken, checked = False, 0
    clock = asyncio.get_running_loop().time
    ends_at, was_closed = clock() + streams.max_duration.total_seconds(), False
    with streams.listener.subscribe(subscription.booking_id, caller.id) as changed:
        while True:
            changed.clear()
            # Only if the person was notified, or nobody was for a while: a booking's change must not make each of its
            # streams read the caller's session.
            sessions = streams.listener.wakes(caller.id)
            if (sessions != checked or not was_woken) and not await subscription.is_signed_in():
                return
            checked = sessions
            position = Position(subscription.booking_id, caller.role, last_seq, was_closed)
            news = await streams.feed.read(position, caller, subscription.database)
            last_seq = news.last_seq
            for event in news.events:
                yield event
            if news.is_closed:
                if was_closed and not news.events:
                    return
                # The last event may have been written between the two reads, so read once more.
                was_closed = True
                continue
            remaining = ends_at - clock()
            if remaining <= 0:
                return
            was_woken = await _wait(changed, min(remaining, streams.poll_interval.total_seconds()))


async def _own_changes(request: Request, caller: AsEitherSide) -> AsyncIterator[AsyncIterator[None]]:
    """As `_subscription`, of all that is the caller's."""
    streams: EventStreams = request.app.state.streams
    with streams.opened(caller.id):
        yield follow_own(streams, caller, partial(is_still, caller, request))


WithOwnChanges = Annotated[AsyncIterator[None], Depends(_own_changes)]
"""Yields at once, and whenever one of the caller's bookings, or what they are paid, has changed."""


async def follow_own(
    streams: EventStreams, caller: Caller, is_signed_in: Callable[[], Awaitable[bool]]
) -> AsyncIterator[None]:
    clock = asyncio.get_running_loop().time
    ends_at = clock() + streams.max_duration.total_seconds()
    with streams.listener.subscribe(of_person(caller.id), caller.id) as changed:
        while await is_signed_in():
            changed.clear()
            yield
            remaining = ends_at - clock()
            await _wait(changed, max(min(remaining, streams.list_interval.total_seconds()), 0))
            if clock() >= ends_at:
                return


async def _wait(changed: asyncio.Event, seconds: float) -> bool:
    """Whether there was a notification in time."""
    try:
        async with asyncio.timeout(seconds):
            return await changed.wait()
    except TimeoutError:
        return False
