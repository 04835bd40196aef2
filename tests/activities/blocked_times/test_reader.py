"""Calendars are read over HTTP once an hour, and what they block is not reserved."""

import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.blocked_times.reader import CalendarReader
from activities.webhooks.transport import PublicNetwork, PublicTransport
from models.domain.blocked_times import MAX_BYTES, READ_EVERY, CalendarProblem
from models.tables.blocked_times import BlockedTime, InstructorCalendar
from tests.activities.blocked_times.events import calendar, event
from tests.activities.bookings import HOUR, NOW, STARTS_AT, Bookings, reserve


@dataclass
class CalendarServer:
    url: str
    status: int = 200
    location: str | None = None
    body: bytes = b""
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def http_server() -> Iterator[CalendarServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            calendars.requests.append(self.path)
            self.send_response(calendars.status)
            if calendars.location:
                self.send_header("Location", calendars.location)
            self.end_headers()
            self.wfile.write(calendars.body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        calendars = CalendarServer(f"http://127.0.0.1:{running.server_port}/secret.ics")
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield calendars
        finally:
            running.shutdown()
            thread.join()


@pytest.fixture
def server(http_server: CalendarServer) -> CalendarServer:
    http_server.status, http_server.location, http_server.requests = 200, None, []
    http_server.body = calendar(lesson())
    return http_server


def lesson(starts_at: datetime = STARTS_AT) -> str:
    return event(f"DTSTART:{starts_at:%Y%m%dT%H%M%SZ}", "DURATION:PT1H")


@dataclass(frozen=True)
class Reading:
    bookings: Bookings
    reader: CalendarReader

    async def subscribe(self, url: str) -> None:
        await self.bookings.terms()
        row = InstructorCalendar(instructor_id=self.bookings.instructor_id, url=url, read_next_at=NOW, created_at=NOW)
        async with AsyncSession(self.bookings.engine) as session, session.begin():
            session.add(row)

    async def calendar(self) -> InstructorCalendar:
        (only,) = await self.bookings.all(InstructorCalendar)
        return only

    async def blocked(self) -> list[tuple[datetime, datetime]]:
        return sorted((row.starts_at, row.ends_at) for row in await self.bookings.all(BlockedTime))


@pytest.fixture
async def reading(bookings: Bookings) -> AsyncIterator[Reading]:
    transport = PublicTransport(allow_private=True)
    yield Reading(bookings, CalendarReader(bookings.engine, transport))
    await transport.close()


async def test_blocked_time_is_not_reserved_and_the_time_after_it_is(reading: Reading, server: CalendarServer) -> None:
    await reading.subscribe(server.url)
    assert await reading.reader.read_due(NOW) == 1
    assert await reading.blocked() == [(STARTS_AT, STARTS_AT + HOUR)]
    assert (await reading.calendar()).read_at == NOW
    reserve_slot = reading.bookings.records.reserve_slot
    assert not await reserve_slot(reserve(await reading.bookings.terms()))
    assert not await reserve_slot(reserve(await reading.bookings.terms(STARTS_AT - HOUR / 2, STARTS_AT + HOUR / 2)))
    assert await reserve_slot(reserve(await reading.bookings.terms(STARTS_AT + HOUR)))


async def test_calendar_is_read_once_an_hour_by_whichever_worker(reading: Reading, server: CalendarServer) -> None:
    await reading.subscribe(server.url)
    assert await reading.reader.read_due(NOW) == 1
    assert await reading.reader.read_due(NOW + READ_EVERY - timedelta(seconds=1)) == 0
    server.body = calendar(lesson(STARTS_AT + HOUR))
    assert await reading.reader.read_due(NOW + READ_EVERY) == 1
    assert await reading.blocked() == [(STARTS_AT + HOUR, STARTS_AT + 2 * HOUR)]
    assert len(server.requests) == 2


async def test_unchanged_calendar_is_worked_out_again_after_a_day(reading: Reading, server: CalendarServer) -> None:
    await reading.subscribe(server.url)
    for hours in (0, 1, 25):
        await reading.reader.read_due(NOW + hours * READ_EVERY)
        row = await reading.calendar()
        assert row.read_at == NOW + hours * READ_EVERY
        assert row.worked_out_at == (NOW if hours < 25 else row.read_at)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"status": 404}, CalendarProblem.GONE),
        ({"status": 500}, CalendarProblem.STATUS),
        ({"body": b"<html>Sign in</html>"}, CalendarProblem.NOT_A_CALENDAR),
        ({"body": b" " * (MAX_BYTES + 1)}, CalendarProblem.TOO_LARGE),
        ({"status": 302, "location": "/secret.ics"}, CalendarProblem.TOO_MANY_REDIRECTS),
        ({"status": 302, "location": "ftp://calendar.example/"}, CalendarProblem.CONNECTION_FAILED),
    ],
)
async def test_calendar_that_cannot_be_read_keeps_the_last_times_and_says_why(
    reading: Reading, server: CalendarServer, answer: dict[str, Any], problem: CalendarProblem
) -> None:
    await reading.subscribe(server.url)
    await reading.reader.read_due(NOW)
    for name, value in answer.items():
        setattr(server, name, value)
    await reading.reader.read_due(NOW + READ_EVERY)
    assert await reading.blocked() == [(STARTS_AT, STARTS_AT + HOUR)]
    row = await reading.calendar()
    assert (row.problem, row.read_at) == (problem, NOW)

    server.status, server.location, server.body = 200, None, calendar()
    await reading.reader.read_due(NOW + 2 * READ_EVERY)
    assert await reading.blocked() == []
    assert (await reading.calendar()).problem is None


class PublicOnce(PublicNetwork):
    """A network in which `calendar.example` is public, and stands for the test's server."""

    def __init__(self, port: int) -> None:
        super().__init__(allow_private=False)
        self._port = port

    async def connect_tcp(self, host: str, port: int, *args: Any, **more: Any) -> Any:
        if host == "calendar.example":
            return await self._network.connect_tcp("127.0.0.1", self._port, *args, **more)
        return await super().connect_tcp(host, port, *args, **more)


async def test_redirect_to_a_private_address_is_refused(bookings: Bookings, server: CalendarServer) -> None:
    port = int(server.url.split(":")[2].split("/")[0])
    server.status, server.location = 302, f"http://127.0.0.1:{port}/inside"
    transport = PublicTransport(network=PublicOnce(port))
    reading = Reading(bookings, CalendarReader(bookings.engine, transport))
    await reading.subscribe("http://calendar.example/secret.ics")
    await reading.reader.read_due(NOW)
    await transport.close()
    assert (await reading.calendar()).problem is CalendarProblem.ADDRESS_NOT_PUBLIC
    assert server.requests == ["/secret.ics"]


async def test_nothing_of_the_calendar_but_times_is_stored(reading: Reading, server: CalendarServer) -> None:
    await reading.subscribe(server.url)
    await reading.reader.read_due(NOW)
    async with reading.bookings.engine.connect() as connection:
        rows = (
            await connection.execute(text("SELECT b::text || c::text FROM blocked_time b, instructor_calendar c"))
        ).all()
    assert rows
    assert "Dentist" not in str(rows)


async def test_times_of_an_address_that_was_exchanged_meanwhile_are_dropped(
    reading: Reading, server: CalendarServer
) -> None:
    await reading.subscribe(server.url)
    ((calendar_row, zone),) = await reading.reader._lease(datetime.now(UTC))
    async with reading.bookings.engine.begin() as connection:
        await connection.execute(text("UPDATE instructor_calendar SET url = 'https://another.example/'"))
    await reading.reader._read(calendar_row, zone, NOW)
    assert await reading.blocked() == []
