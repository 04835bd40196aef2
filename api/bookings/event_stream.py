"""A booking as it happens: server-sent events from its audit trail."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from api.bookings import presenters, queries, schemas
from api.bookings.queries import BookingRecord
from api.bookings.schemas import BookingEvent
from api.http.auth import AsAnyRole, Caller
from api.http.database import Database, WithDatabase
from api.http.notify_listener import NotifyListener
from api.http.problems import Kind, declared
from api.http.schema_types import REFERENCE
from models.tables.audit import AuditEvent

_JSON_OF_EVENT = {
    "contentMediaType": "application/json",
    "contentSchema": {"$ref": REFERENCE.format(model=BookingEvent.__name__)},
}


EVENT_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"itemSchema": {"properties": {"data": _JSON_OF_EVENT}}}}}
}
"""For the route whose events' `data` is a `BookingEvent`: of a `ServerSentEvent`, FastAPI says no more than that it is
text."""


router = APIRouter(prefix="/v1/bookings/{booking_id}", tags=["bookings"])


class StreamFinished(Exception):
    """All has been told. 204 is what makes an `EventSource` stop asking (HTML standard, "Server-sent events")."""


async def on_stream_finished(_: Request, __: Exception) -> Response:
    return Response(status_code=204)


@dataclass(frozen=True)
class StreamOptions:
    """How the process's streams are woken, and how long they last."""

    listener: NotifyListener
    last: timedelta = timedelta(hours=1)
    """After that a caller has to come back, and to show a token that is still valid."""
    look_every: timedelta = timedelta(seconds=30)
    """Even when nobody rings, in case Postgres cannot be listened to."""


@dataclass(frozen=True)
class Following:
    """Somebody who may know of a booking, and what they have been told of it."""

    booking_id: UUID
    caller: Caller
    told: int
    database: Database
    streams: StreamOptions


async def _following(
    request: Request,
    booking_id: UUID,
    caller: AsAnyRole,
    database: WithDatabase,
    last_event_id: Annotated[
        int, Header(alias="Last-Event-ID", ge=0, lt=2**63, description="Go on after this event.")
    ] = 0,
) -> Following:
    """Raises the 404 or 410 `Problem`, or `StreamFinished`, while there still is a status to answer with."""
    async with database.reading() as session:
        record = await queries.existing_booking(session, booking_id, caller)
        if record.is_closed and not await queries.events(session, booking_id, caller, last_event_id):
            raise StreamFinished
    return Following(booking_id, caller, last_event_id, database, request.app.state.streams)


@router.get(
    "/events",
    operation_id="followBooking",
    response_class=EventSourceResponse,
    responses={
        **EVENT_STREAM,
        204: {"description": "The booking is closed, and its last event has been told."},
        **declared(
            Kind.NOT_SIGNED_IN,
            Kind.NOT_FOUND,
            Kind.BOOKING_DELETED,
            Kind.REQUEST_INVALID,
            Kind.INTERNAL,
            Kind.UNAVAILABLE,
        ),
    },
)
async def follow(following: Annotated[Following, Depends(_following)]) -> AsyncIterator[ServerSentEvent]:
    """What has happened to the booking since `Last-Event-ID`, and what happens, until it is closed."""
    caller, streams, told = following.caller, following.streams, following.told
    clock = asyncio.get_running_loop().time
    ends_at, was_closed = clock() + streams.last.total_seconds(), False
    with streams.listener.rings_for(following.booking_id) as rung:
        while True:
            rung.clear()
            events, record = await _news(following, told)
            for event in events:
                told = event.seq or told
                yield _event(event, record, caller)
            if record is None or record.is_closed:
                if was_closed and not events:
                    return
                # Its last event may have come between the two reads; a look from now on sees it.
                was_closed = True
                continue
            left = ends_at - clock()
            if left <= 0:
                return
            await _ring_or(rung, min(left, streams.look_every.total_seconds()))


async def _news(following: Following, told: int) -> tuple[list[AuditEvent], BookingRecord | None]:
    """The events first: a booking that is read after them is never older than they are."""
    async with following.database.reading() as session:
        events = await queries.events(session, following.booking_id, following.caller, told)
        record = await queries.booking_by_id(session, following.booking_id)
    return list(events), record


async def _ring_or(rung: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await rung.wait()
    except TimeoutError:
        pass


def _event(event: AuditEvent, record: BookingRecord | None, caller: Caller) -> ServerSentEvent:
    booking = presenters.booking(record, caller) if record else None
    data = schemas.BookingEvent(type=event.action, at=event.at, by=event.actor_role, booking=booking)
    return ServerSentEvent(id=str(event.seq), event=event.action, data=data)
