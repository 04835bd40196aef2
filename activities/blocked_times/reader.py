"""Reads instructors' own calendars, each once an hour. Any number of workers can do so concurrently.

A calendar that cannot be read keeps the blocked times that were read last, and its instructor sees why.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from sqlalchemy import delete, insert, update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select

from activities.blocked_times.calendar_file import busy_periods
from activities.database.transactions import DatabaseError, transaction
from activities.webhooks.transport import NotDelivered, PublicTransport
from models.domain.blocked_times import MAX_BYTES, READ_EVERY, CalendarProblem, Period, UnreadableCalendar
from models.domain.zones import zone
from models.tables.blocked_times import BlockedTime, InstructorCalendar
from models.tables.people import Instructor

_BATCH_SIZE: Final = 10
_POLL_INTERVAL_SECONDS: Final = 5.0
_WORKED_OUT_EVERY: Final = timedelta(days=1)
"""Also an unchanged calendar: a day more of a recurring event has come within reach."""
_MAX_REDIRECTS: Final = 3
_GONE: Final = {401, 403, 404, 410}

log = logging.getLogger("holdfast.calendars")


class CalendarReader:
    def __init__(self, engine: AsyncEngine, transport: PublicTransport) -> None:
        self._engine = engine
        self._transport = transport

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read in the background until the block ends."""
        reading = asyncio.create_task(self._read_forever())
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await self._transport.close()

    async def read_due(self, now: datetime) -> int:
        """Read up to a batch of calendars that are due. Returns their number. Raises `DatabaseError`."""
        due = await self._lease(now)
        await asyncio.gather(*(self._read(calendar, time_zone, now) for calendar, time_zone in due))
        return len(due)

    async def _read_forever(self) -> None:
        while True:
            try:
                if await self.read_due(datetime.now(UTC)):
                    continue
            except DatabaseError as error:
                log.warning("Calendars cannot be read or written: %s", error)
            await asyncio.sleep(_POLL_INTERVAL_SECONDS)

    async def _lease(self, now: datetime) -> list[tuple[InstructorCalendar, str]]:
        """Whoever reads them, they are due again in an hour. `SKIP LOCKED` leaves those that another worker takes."""
        due = (
            select(InstructorCalendar, Instructor.time_zone)
            .join(Instructor, col(Instructor.id) == col(InstructorCalendar.instructor_id))
            .where(col(InstructorCalendar.read_next_at) <= now)
            .order_by(col(InstructorCalendar.read_next_at))
            .limit(_BATCH_SIZE)
            .with_for_update(skip_locked=True, of=InstructorCalendar)
        )
        async with transaction(self._engine) as session:
            found = [(calendar, zone) for calendar, zone in await session.exec(due)]
            ids = [calendar.instructor_id for calendar, _ in found]
            again = update(InstructorCalendar).where(col(InstructorCalendar.instructor_id).in_(ids))
            await session.exec(again.values(read_next_at=now + READ_EVERY))
            session.expunge_all()
        return found

    async def _read(self, calendar: InstructorCalendar, time_zone: str, now: datetime) -> None:
        try:
            content = await self._fetch(calendar.url)
            digest = sha256(content + time_zone.encode()).hexdigest()
            is_known = calendar.digest == digest and calendar.worked_out_at is not None
            if is_known and calendar.worked_out_at > now - _WORKED_OUT_EVERY:  # type: ignore[operator]
                await self._record(calendar, None, read_at=now, problem=None)
                return
            periods = await asyncio.to_thread(busy_periods, content, zone(time_zone), now)
            await self._record(calendar, periods, read_at=now, problem=None, digest=digest, worked_out_at=now)
        except UnreadableCalendar as error:
            log.info("The calendar of instructor %s is not read: %s", calendar.instructor_id, error)
            await self._record(calendar, None, problem=error.problem)

    async def _fetch(self, url: str) -> bytes:
        """Each redirect is a connection of its own, whose address is checked like the first."""
        for _ in range(_MAX_REDIRECTS + 1):
            try:
                answer = await self._transport.get(url, MAX_BYTES)
            except NotDelivered as failure:
                raise UnreadableCalendar(CalendarProblem(str(failure))) from failure
            if answer.location is None:
                break
            url = answer.location
        else:
            raise UnreadableCalendar(CalendarProblem.TOO_MANY_REDIRECTS)
        if answer.status in _GONE:
            raise UnreadableCalendar(CalendarProblem.GONE)
        if answer.status != 200:
            raise UnreadableCalendar(CalendarProblem.STATUS)
        return answer.body

    async def _record(self, calendar: InstructorCalendar, periods: list[Period] | None, **outcome: Any) -> None:
        """Nothing, if the instructor has given another address meanwhile, or none."""
        id = calendar.instructor_id
        is_same = (col(InstructorCalendar.instructor_id) == id, col(InstructorCalendar.url) == calendar.url)
        try:
            async with transaction(self._engine) as session:
                changed = await session.exec(update(InstructorCalendar).where(*is_same).values(outcome))
                if not changed.rowcount or periods is None:
                    return
                await session.exec(delete(BlockedTime).where(col(BlockedTime.instructor_id) == id))
                rows = [{"instructor_id": id, "starts_at": start, "ends_at": end} for start, end in periods]
                if rows:
                    await session.exec(insert(BlockedTime), params=rows)
        except DatabaseError as error:
            log.warning("What was read of a calendar is not written down: %s", error)
