"""A booking's audit trail as server-sent events, live."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from api.bookings import presenters, queries, schemas
from api.bookings.queries import BookingRecord
from api.bookings.schemas import BookingEvent
from api.http.auth import AsAnyRole, Caller, is_still
from api.http.database import Database, WithDatabase
from api.http.notify_listener import NotifyListener
from api.http.problems import Kind, problem_responses
from api.http.schema_types import REFERENCE
from models.tables.audit import AuditEvent

_JSON_OF_EVENT = {
    "contentMediaType": "application/json",
    "contentSchema": {"$ref": REFERENCE.format(model=BookingEvent.__name__)},
}


EVENT_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"itemSchema": {"properties": {"data": _JSON_OF_EVENT}}}}}
}
"""Documents that `data` is a `BookingEvent`. FastAPI alone describes a `ServerSentEvent` as plain text."""


router = APIRouter(prefix="/v1/bookings/{booking_id}", tags=["bookings"])


class StreamFinished(Exception):
    """Everything was sent. A 204 stops an `EventSource` from reconnecting (HTML standard, "Server-sent events")."""


async def on_stream_finished(_: Request, __: Exception) -> Response:
    return Response(status_code=204)


@dataclass(frozen=True)
class StreamOptions:
    """How the streams of this process are woken, and how long they may last."""

    listener: NotifyListener
    max_duration: timedelta = timedelta(hours=1)
    """The client then has to reconnect, with a token that is still valid."""
    poll_interval: timedelta = timedelta(seconds=30)
    """Streams also poll, in case LISTEN is not available."""


@dataclass(frozen=True)
class Subscription:
    """A caller who may see the booking, and the last event that they received."""

    booking_id: UUID
    caller: Caller
    is_signed_in: Callable[[], Awaitable[bool]]
    """Whether the caller's token is still valid."""
    last_seq: int
    database: Database
    options: StreamOptions


async def _subscription(
    request: Request,
    booking_id: UUID,
    caller: AsAnyRole,
    database: WithDatabase,
    last_event_id: Annotated[
        int, Header(alias="Last-Event-ID", ge=0, lt=2**63, description="Resume after this event.")
    ] = 0,
) -> Subscription:
    """Raises the 404 or 410 `Problem`, or `StreamFinished`, while the status can still be set."""
    async with database.reading() as session:
        record = await queries.existing_booking(session, booking_id, caller)
        if record.is_closed and not await queries.events(session, booking_id, caller, last_event_id):
            raise StreamFinished
    is_signed_in = partial(is_still, caller, request)
    return Subscription(booking_id, caller, is_signed_in, last_event_id, database, request.app.state.streams)


@router.get(
    "/events",
    operation_id="followBooking",
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
            Kind.UNAVAILABLE,
        ),
    },
)
async def follow(subscription: Annotated[Subscription, Depends(_subscription)]) -> AsyncIterator[ServerSentEvent]:
    """Stream the booking's events: those since `Last-Event-ID`, then new ones until the booking is closed.

    Ends early if the caller signs out, or their token becomes invalid in another way.
    """
    caller, options, last_seq = subscription.caller, subscription.options, subscription.last_seq
    clock = asyncio.get_running_loop().time
    ends_at, was_closed = clock() + options.max_duration.total_seconds(), False
    with options.listener.subscribe(subscription.booking_id, caller.id) as changed:
        while True:
            changed.clear()
            if not await subscription.is_signed_in():
                return
            events, record = await _read_new(subscription, last_seq)
            for event in events:
                last_seq = event.seq or last_seq
                yield _event(event, record, caller)
            if record is None or record.is_closed:
                if was_closed and not events:
                    return
                # The last event may have been written between the two reads, so read once more.
                was_closed = True
                continue
            remaining = ends_at - clock()
            if remaining <= 0:
                return
            await _wait(changed, min(remaining, options.poll_interval.total_seconds()))


async def _read_new(subscription: Subscription, last_seq: int) -> tuple[list[AuditEvent], BookingRecord | None]:
    """Reads the events first, so that the booking is never older than its events."""
    async with subscription.database.reading() as session:
        events = await queries.events(session, subscription.booking_id, subscription.caller, last_seq)
        record = await queries.booking_by_id(session, subscription.booking_id)
    return list(events), record


async def _wait(changed: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await changed.wait()
    except TimeoutError:
        pass


def _event(event: AuditEvent, record: BookingRecord | None, caller: Caller) -> ServerSentEvent:
    booking = presenters.booking(record, caller) if record else None
    data = schemas.BookingEvent(type=event.action, at=event.at, by=event.actor_role, booking=booking)
    return ServerSentEvent(id=str(event.seq), event=event.action, data=data)
