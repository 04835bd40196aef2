"""What the streams of a booking send. Streams with the same audience share one read and one rendering.

Otherwise a change of a booking that many follow would make each stream take a connection and read the same rows, at
the same time as the request that made the change.
"""

import asyncio
from dataclasses import dataclass
from uuid import UUID

from fastapi.sse import ServerSentEvent

from api.bookings import presenters, queries, schemas
from api.bookings.queries import BookingRecord
from api.http.auth import Caller
from api.http.database import Database
from api.http.notify_listener import NotifyListener
from models.domain.actors import Role
from models.tables.audit import AuditEvent


@dataclass(frozen=True)
class Position:
    """Where a stream is. Streams at equal positions get the same news.

    The student, the instructor and all operators are one audience each: nothing depends on which operator it is.
    """

    booking_id: UUID
    role: Role
    last_seq: int
    was_closed: bool
    """Whether the previous read found the booking closed."""


@dataclass(frozen=True)
class News:
    """The events after a position, as they are sent."""

    events: tuple[ServerSentEvent, ...]
    last_seq: int
    is_closed: bool


class EventFeed:
    """Reads news for the streams of this process, once for all that are at the same position after the same wake-up."""

    def __init__(self, listener: NotifyListener) -> None:
        self._listener = listener
        self._reads: dict[tuple[Position, int], asyncio.Task[News]] = {}

    async def read(self, position: Position, caller: Caller, database: Database) -> News:
        # A read that began before the latest wake-up may have missed the change, so it is not shared.
        key = (position, self._listener.wakes(position.booking_id))
        read = self._reads.get(key)
        if read is None:
            read = self._reads[key] = asyncio.create_task(_read(position, caller, database))
            read.add_done_callback(lambda done: self._forget(key, done))
        # Shielded: a client that disconnects must not cancel the read of the others.
        return await asyncio.shield(read)

    async def close(self) -> None:
        """Wait for reads whose clients have all gone: they still have a database connection."""
        await asyncio.gather(*self._reads.values(), return_exceptions=True)

    def _forget(self, key: tuple[Position, int], done: asyncio.Task[News]) -> None:
        """A stream that asks later, such as after a poll, must read again."""
        del self._reads[key]
        if not done.cancelled():
            done.exception()  # or asyncio would report it, if every client has gone


async def _read(position: Position, caller: Caller, database: Database) -> News:
    """Reads the events first, so that the booking is never older than its events."""
    async with database.reading() as session:
        events = await queries.events(session, position.booking_id, caller, position.last_seq)
        record = await queries.booking_by_id(session, position.booking_id)
    return News(
        events=tuple(_event(event, record, caller) for event in events),
        last_seq=max((event.seq or 0 for event in events), default=position.last_seq),
        is_closed=record is None or record.is_closed,
    )


def _event(event: AuditEvent, record: BookingRecord | None, caller: Caller) -> ServerSentEvent:
    booking = presenters.booking(record, caller) if record else None
    data = schemas.BookingEvent(type=event.action, at=event.at, by=event.actor_role, booking=booking)
    # As text, so that it is not serialized again for each stream.
    return ServerSentEvent(id=str(event.seq), event=event.action, raw_data=data.model_dump_json())
