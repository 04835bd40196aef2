"""Rings when something has happened to a booking: Postgres' NOTIFY, heard on one connection per process.

Behind a PgBouncer that pools transactions, LISTEN is not possible: nothing rings then, and whoever waits has to look by
themselves from time to time.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy import URL

_CHANNEL = "holdfast_booking"
_AGAIN_AFTER_SECONDS = 1.0

log = logging.getLogger("holdfast.api")


class NotifyListener:
    """Listens only while somebody waits. A ring is a reason to look, and may come without one; it is never missed."""

    def __init__(self, database_url: URL) -> None:
        self._conninfo = database_url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._listening: asyncio.Task[None] | None = None

    @contextmanager
    def rings_for(self, booking_id: object) -> Iterator[asyncio.Event]:
        rung = asyncio.Event()
        self._waiting.setdefault(str(booking_id), set()).add(rung)
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen())
        try:
            yield rung
        finally:
            self._leave(str(booking_id), rung)

    def _leave(self, booking_id: str, rung: asyncio.Event) -> None:
        others = self._waiting[booking_id]
        others.discard(rung)
        if not others:
            del self._waiting[booking_id]
        if not self._waiting and self._listening is not None:
            self._listening.cancel()
            self._listening = None

    async def _listen(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._conninfo, autocommit=True) as connection:
                    await connection.execute(f"LISTEN {_CHANNEL}")
                    # What was committed before was told to nobody.
                    self._ring(*self._waiting)
                    async for told in connection.notifies():
                        self._ring(told.payload)
            except psycopg.Error as error:
                log.warning("not listening to Postgres: %s", type(error).__name__)
            await asyncio.sleep(_AGAIN_AFTER_SECONDS)

    def _ring(self, *booking_ids: str) -> None:
        for booking_id in booking_ids:
            for rung in self._waiting.get(booking_id, ()):
                rung.set()
