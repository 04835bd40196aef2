"""Wakes event streams when a booking or a person changes: Postgres LISTEN and NOTIFY, on one connection per process.

LISTEN does not work behind a PgBouncer in transaction mode. Nothing is woken then, so every waiter must also poll.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg
from sqlalchemy import URL

_CHANNEL = "holdfast_audit"
_RECONNECT_SECONDS = 1.0

log = logging.getLogger("holdfast.api")


def of_person(person_id: UUID) -> str:
    """What changes with each of a person's bookings, and with what an instructor is paid."""
    return f"of/{person_id}"


class NotifyListener:
    """Listens only while there are subscribers. Wake-ups can be spurious, but none is missed while connected."""

    def __init__(self, database_url: URL) -> None:
        self._conninfo = database_url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._subscribers: dict[str, set[asyncio.Event]] = {}
        self._wakes: Counter[str] = Counter()
        self._listener: asyncio.Task[None] | None = None

    @contextmanager
    def subscribe(self, *ids: UUID | str) -> Iterator[asyncio.Event]:
        """An event that is set whenever one of these bookings and people, or of `of_person`, may have changed.

        The subscriber clears it.
        """
        changed = asyncio.Event()
        for id in ids:
            self._subscribers.setdefault(str(id), set()).add(changed)
        if self._listener is None:
            self._listener = asyncio.create_task(self._listen())
        try:
            yield changed
        finally:
            self._unsubscribe(ids, changed)

    def wakes(self, booking_id: object) -> int:
        """How often the booking's subscribers have been woken, while there were any."""
        return self._wakes[str(booking_id)]

    def _unsubscribe(self, ids: tuple[UUID | str, ...], changed: asyncio.Event) -> None:
        for id in map(str, ids):
            self._subscribers[id].discard(changed)
            if not self._subscribers[id]:
                del self._subscribers[id]
                del self._wakes[id]
        if not self._subscribers and self._listener is not None:
            self._listener.cancel()
            self._listener = None

    async def _listen(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {_CHANNEL}")
                    # Nobody was notified of what was committed before LISTEN.
                    self._wake(*self._subscribers)
                    async for notification in connection.notifies():
                        self._wake(*notification.payload.split())
            except psycopg.Error as error:
                log.warning("not listening to Postgres: %s", type(error).__name__)
            await asyncio.sleep(_RECONNECT_SECONDS)

    def _wake(self, *ids: str) -> None:
        for id in ids:
            if id in self._subscribers:
                self._wakes[id] += 1
            for changed in self._subscribers.get(id, ()):
                changed.set()
