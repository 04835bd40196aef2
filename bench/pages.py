"""`./run bench --pages`: the server time of each main page, in relation to the API calls with the same content.

All pages and calls are sent in turn, at random times, so that the API's process is busy for three tenths of the time.
The server's own log has how long each took.
"""

import asyncio
import itertools
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

from sqlmodel.ext.asyncio.session import AsyncSession

from api.people import operators
from bench.bookings import BookingDriver, PaidBooking, booking_driver
from bench.concurrency import map_concurrently
from bench.cpu import Meter, Usage
from bench.greedy import from_new_address, p99
from bench.stack import BenchStack
from models.domain.actors import Role
from models.tables.operators import Operator
from sandbox.demo.marketplace import Marketplace
from sandbox.demo.people import Person

LOAD: Final = 0.3
"""Of one core, by requests of this bench alone."""

_SAMPLES: Final = 300
"""Of each page."""
_WARM_UPS: Final = 10
_COUPLES: Final = 6
"""Students, each with an instructor and an operator: one person's quota would not suffice."""
_BOOKINGS: Final = 6
"""Of each couple. Half of them are approved."""
_FIRST: Final = timedelta(days=1)
_LOG_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Request:
    path: str
    person: Person | None = None


@dataclass(frozen=True)
class Compared:
    """A page, and the calls with the same content."""

    name: str
    page: Request
    calls: tuple[Request, ...]


@dataclass
class Pages:
    """Server seconds of each page, and of its calls together."""

    page: dict[str, list[float]] = field(default_factory=dict)
    calls: dict[str, list[float]] = field(default_factory=dict)
    load: float = 0.0
    """How much of a core the API's process used."""

    def ratio(self, name: str) -> float:
        """The p99 of the page, in relation to that of its calls."""
        return p99(self.page[name]) / p99(self.calls[name])


async def measure(stack: BenchStack) -> Pages:
    market, bench = stack.market, _Bench(stack.market)
    async with booking_driver(market, _COUPLES) as driver:
        rounds = [await _compared(market, bookings) for bookings in await _bookings(driver)]
    meter, quiet, loaded = Meter({"api": market.stack.pids["api"]}), Usage(), Usage()
    for _ in range(_WARM_UPS):
        await bench.take_all(rounds)
    async with meter.measuring(quiet):
        await bench.take_all(rounds)
    pause = quiet.cpu["api"] / len(bench.taken) * (1 + _WARM_UPS) / LOAD
    bench.taken.clear()
    print(f"{_SAMPLES} rounds, about {_SAMPLES * len(rounds[0]) * pause:.0f} s", file=sys.stderr, flush=True)
    async with meter.measuring(loaded), asyncio.TaskGroup() as group:
        for number in range(_SAMPLES):
            for compared in rounds[number % len(rounds)]:
                group.create_task(bench.take(compared))
                await asyncio.sleep(random.expovariate(1 / pause))
    await asyncio.sleep(_LOG_SECONDS)
    return bench.result(loaded.cpu["api"] / loaded.seconds)


class _Bench:
    def __init__(self, market: Marketplace) -> None:
        self._market = market
        self.taken: list[tuple[str, str, list[str]]] = []
        """Names, with the ids of the page's request and of the calls'."""

    async def take_all(self, rounds: Sequence[Sequence[Compared]]) -> None:
        """One after the other."""
        for compared in itertools.chain(*rounds):
            await self.take(compared)

    async def take(self, compared: Compared) -> None:
        """The page and its calls, in either order, since whichever comes first may wait for what came before."""
        if random.random() < 0.5:  # noqa: S311 - no secret
            page = await self._page(compared.page)
            calls = [await self._call(call) for call in compared.calls]
        else:
            calls = [await self._call(call) for call in compared.calls]
            page = await self._page(compared.page)
        self.taken.append((compared.name, page, calls))

    def result(self, load: float) -> Pages:
        seconds, pages = server_seconds(self._market.stack.logs / "api.log"), Pages(load=load)
        for name, page, calls in self.taken:
            pages.page.setdefault(name, []).append(seconds[page])
            pages.calls.setdefault(name, []).append(sum(seconds[call] for call in calls))
        return pages

    async def _page(self, request: Request) -> str:
        session = f"; holdfast_session={request.person.token}" if request.person else ""
        return await self._get(request, {"Accept": "text/html", "Cookie": f"holdfast_visitor=bench{session}"})

    async def _call(self, request: Request) -> str:
        return await self._get(request, {"Authorization": f"Bearer {request.person.token}"} if request.person else {})

    async def _get(self, request: Request, headers: dict[str, str]) -> str:
        id = uuid4().hex
        headers |= from_new_address() | {"X-Request-Id": id}
        (await self._market.http.get(request.path, headers=headers)).raise_for_status()
        return id


def server_seconds(log: Path) -> dict[str, float]:
    """Of each request, by its id."""
    lines = (json.loads(line) for line in log.read_text().splitlines() if '"duration_ms"' in line)
    return {line["request_id"]: line["duration_ms"] / 1000 for line in lines}


async def _bookings(driver: BookingDriver) -> list[list[PaidBooking]]:
    """Of each couple. There is another round of slots, which are free."""
    couples: list[list[PaidBooking]] = [[] for _ in range(_COUPLES)]
    first = await driver.pairs(datetime.now(UTC) + _FIRST, _COUPLES)
    for count in range(1, _BOOKINGS + 1):
        pairs = await driver.pairs(datetime.now(UTC) + _FIRST + count * timedelta(hours=1), _COUPLES)
        own = [replace(pair, student=couple.student) for pair, couple in zip(pairs, first, strict=True)]
        act = driver.pay if count % 2 else driver.pay_and_approve
        for couple, booked in zip(couples, await map_concurrently(own, act, _COUPLES), strict=True):
            couple.append(booked)
    return couples


async def _operator(market: Marketplace) -> Person:
    id = uuid4()
    async with AsyncSession(market.engine) as session, session.begin():
        await operators.add(session, Operator(id=id, name=f"Olu {id}", created_at=datetime.now(UTC)))
    return market.person(Role.OPERATOR, id)


async def _compared(market: Marketplace, bookings: Sequence[PaidBooking]) -> list[Compared]:
    pair, id = bookings[-1].pair, bookings[-1].booking_id
    student, instructor, operator = pair.student, pair.instructor, await _operator(market)
    offering = (await student.call("GET", f"/offerings?instructor_id={instructor.id}"))["data"][0]["id"]

    def compared(path: str, person: Person | None, *calls: str) -> Compared:
        name = path.replace(str(id), "{booking_id}").replace(offering, "{offering_id}")
        return Compared(name, Request(path, person), tuple(Request(f"/v1{call}", person) for call in calls))

    return [
        # The page has the next free times of each offering, for each of which a client would send the second call.
        compared("/offerings", None, "/offerings", f"/offerings/{offering}/slots"),
        compared(f"/offerings/{offering}", None, f"/offerings/{offering}", f"/offerings/{offering}/slots"),
        compared("/bookings", student, "/bookings"),
        compared(f"/bookings/{id}", student, f"/bookings/{id}"),
        compared("/today", instructor, "/bookings?status=PENDING", "/bookings?status=ACCEPTED"),
        compared("/earnings", instructor, "/instructors/me", "/instructors/me/payouts"),
        compared(
            "/operator",
            operator,
            *("/operator/bookings?needs_attention=true", "/operator/disputes?open=true", "/operator/drifts?open=true"),
        ),
        compared("/operator/bookings", operator, "/operator/bookings"),
        compared(
            f"/operator/bookings/{id}",
            operator,
            *(f"/bookings/{id}", f"/operator/bookings/{id}/options"),
            *(f"/operator/bookings/{id}/trace", f"/operator/bookings/{id}/ledger"),
        ),
    ]
