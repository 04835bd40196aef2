"""`./run bench --greedy`: how long a sign-in, a booking and a payout take beside clients that ask for all they can get.

Quiet and greedy rounds alternate, so that a machine that slows down meanwhile slows both. The payouts come last.
"""

import asyncio
import itertools
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import quantiles
from typing import Final
from uuid import UUID, uuid4

import httpx
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from bench import polling
from bench.bookings import BookingDriver, PaidBooking, booking_driver
from bench.concurrency import map_concurrently
from bench.stack import BenchStack
from models.domain.states import PayoutStatus
from models.tables.payments import InstructorPayout
from sandbox.demo.marketplace import Marketplace
from sandbox.demo.people import Json, Unexpected

CLIENTS: Final = 20

_ROUNDS: Final = 2
_BOOKINGS: Final = 12
_AT_ONCE: Final = 2
_SIGN_INS: Final = 3
"""Sign-ins a booking."""
_LEAD: Final = timedelta(seconds=90)
_START_MARGIN: Final = timedelta(seconds=1.5)
_PAUSE_SECONDS: Final = 0.05
"""Between two requests of a greedy client. It takes whatever it can get."""
_OPEN_STREAM_SECONDS: Final = 5.0
_SETTLING_SECONDS: Final = 15.0
"""What others notice is measured once the greedy clients have been at it for a while."""

STEPS: Final = {
    "sign-in": "POST /v1/auth/token",
    "booking": "POST /v1/bookings until the Checkout URL is there",
    "payout": "from Stripe's payouts until the share is recorded as paid",
}


@dataclass
class Greedy:
    """Seconds by step, and the statuses that the greedy clients got."""

    quiet: dict[str, list[float]] = field(default_factory=lambda: {step: [] for step in STEPS})
    greedy: dict[str, list[float]] = field(default_factory=lambda: {step: [] for step in STEPS})
    answers: dict[str, int] = field(default_factory=dict)
    greedy_seconds: float = 0.0

    def ratio(self, step: str) -> float:
        """The p99 beside the greedy clients, in relation to the quiet one."""
        return p99(self.greedy[step]) / p99(self.quiet[step])


def p99(seconds: Sequence[float]) -> float:
    return quantiles(seconds, n=100, method="inclusive")[-1]


async def measure(stack: BenchStack) -> Greedy:
    market, result = stack.market, Greedy()
    async with (
        booking_driver(market, CLIENTS) as driver,
        httpx.AsyncClient(
            base_url=market.stack.api_url, limits=httpx.Limits(max_connections=None), timeout=30, trust_env=False
        ) as http,
    ):
        account = await _sign_up(market)
        clients = await _greedy_clients(http, driver, result.answers)
        await _round(market, driver, account, {step: [] for step in STEPS})  # warms up, and is not counted
        quiet, greedy = list[PaidBooking](), list[PaidBooking]()
        for number in range(1, _ROUNDS + 1):
            print(f"round {number} of {_ROUNDS}", file=sys.stderr, flush=True)
            quiet += await _round(market, driver, account, result.quiet)
            async with _running(clients, result):
                greedy += await _round(market, driver, account, result.greedy)
        # Only now, because the payouts advance Stripe's clock, past the end of holds.
        await _until_over(max(booked.pair.starts_at for booked in greedy))
        await map_concurrently(quiet, _capture, _AT_ONCE)
        result.quiet["payout"] += await _pay_out(market, quiet)
        await map_concurrently(greedy, _capture, _AT_ONCE)
        # The second payouts would also end the holds of the greedy clients' sessions to come: let them end before.
        await market.control_stripe("/clock", {"advance_seconds": timedelta(days=1.5).total_seconds()})
        async with _running(clients, result):
            result.greedy["payout"] += await _pay_out(market, greedy)
    return result


async def _round(
    market: Marketplace, driver: BookingDriver, account: Json, seconds: dict[str, list[float]]
) -> list[PaidBooking]:
    """Sign-ins and bookings at the same time. Returns the bookings, which are approved."""
    already = len(driver.seconds["book"])
    pairs = await driver.pairs(datetime.now(UTC) + _LEAD, _BOOKINGS)

    async def sign_in(_: int) -> None:
        started = time.monotonic()
        answer = await market.http.post("/v1/auth/token", json=account, headers=from_new_address())
        answer.raise_for_status()
        seconds["sign-in"].append(time.monotonic() - started)

    booked, _ = await asyncio.gather(
        map_concurrently(pairs, driver.pay_and_approve, _AT_ONCE),
        map_concurrently(range(_SIGN_INS * _BOOKINGS), sign_in, 1),
    )
    seconds["booking"].extend(driver.seconds["book"][already:])
    return booked


async def _capture(booked: PaidBooking) -> None:
    """The student confirms the session. A busy machine may answer with a 202 before the money is captured."""
    booking_id, student = str(booked.booking_id), booked.pair.student
    with suppress(Unexpected):
        await student.decide(booking_id, "confirm")
    await student.wait_until(booking_id, payment__status="CAPTURED")


async def _pay_out(market: Marketplace, booked: Sequence[PaidBooking]) -> list[float]:
    """Stripe pays all instructors at the same time, as at midnight."""
    async with polling.polling(market.engine, _paid_out) as paid_out:
        started = time.monotonic()

        async def seen(booking: PaidBooking) -> float:
            await paid_out.wait_for(booking.booking_id)
            return time.monotonic() - started

        waiting = [asyncio.create_task(seen(booking)) for booking in booked]
        await market.advance_to_payout()
        return await asyncio.gather(*waiting)


def _paid_out(booking_ids: Collection[UUID]) -> SelectOfScalar[UUID]:
    return select(InstructorPayout.booking_id).where(
        col(InstructorPayout.booking_id).in_(booking_ids), InstructorPayout.status == PayoutStatus.PAID
    )


async def _sign_up(market: Marketplace) -> Json:
    account = {"email": f"{uuid4()}@students.example", "password": f"a password nobody guesses {uuid4()}"}
    person = account | {"role": "student", "name": "Sam Student"}
    (await market.http.post("/v1/auth/signup", json=person)).raise_for_status()
    return account


_addresses = itertools.count(1)


def from_new_address() -> dict[str, str]:
    """The API trusts a proxy on this machine to name the client (RFC 2544's addresses, for benchmarks)."""
    number = next(_addresses)
    return {"X-Forwarded-For": f"198.18.{number // 256}.{number % 256}"}


@dataclass(frozen=True)
class GreedyClient:
    """One address with two students, of whom one has a receipt and the other a session to come.

    It sends one request after the other, whatever the answers are.
    """

    http: httpx.AsyncClient
    address: dict[str, str]
    past: PaidBooking
    coming: PaidBooking
    answers: dict[str, int]

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for request in itertools.cycle((self._sign_in, self._list, self._receipt, self._follow, self._ready)):
                if request == self._follow:
                    group.create_task(self._count("stream", request))
                else:
                    await self._count(request.__name__.strip("_"), request)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _count(self, name: str, request: Callable[[], Awaitable[int]]) -> None:
        with suppress(httpx.TransportError):
            answer = f"{name} {await request()}"
            self.answers[answer] = self.answers.get(answer, 0) + 1

    async def _sign_in(self) -> int:
        guess = {"email": f"{uuid4()}@students.example", "password": "a wrong password"}
        return (await self.http.post("/v1/auth/token", json=guess, headers=self._headers(self.past))).status_code

    async def _list(self) -> int:
        return (await self.http.get("/v1/bookings?limit=100", headers=self._headers(self.past))).status_code

    async def _receipt(self) -> int:
        path = f"/v1/bookings/{self.past.booking_id}/receipt.pdf"
        return (await self.http.get(path, headers=self._headers(self.past))).status_code

    async def _ready(self) -> int:
        return (await self.http.get("/readyz", headers=self.address)).status_code

    async def _follow(self) -> int:
        path = f"/v1/bookings/{self.coming.booking_id}/events"
        async with self.http.stream("GET", path, headers=self._headers(self.coming)) as answer:
            if answer.status_code == 200:
                await asyncio.sleep(_OPEN_STREAM_SECONDS)
            return answer.status_code

    def _headers(self, booked: PaidBooking) -> dict[str, str]:
        return self.address | {"Authorization": f"Bearer {booked.pair.student.token}"}


async def _greedy_clients(
    http: httpx.AsyncClient, driver: BookingDriver, answers: dict[str, int]
) -> list[GreedyClient]:
    coming = await driver.pairs(datetime.now(UTC) + timedelta(hours=2), CLIENTS)
    coming_booked = await map_concurrently(coming, driver.pay_and_approve, _AT_ONCE)
    past = await driver.pairs(datetime.now(UTC) + timedelta(days=3), CLIENTS)
    past_booked = await map_concurrently(past, driver.pay, _AT_ONCE)
    for booked in past_booked:
        await booked.pair.instructor.decide(str(booked.booking_id), "reject", {"reason": "I am away."})
    return [
        GreedyClient(http, from_new_address(), one, other, answers)
        for one, other in zip(past_booked, coming_booked, strict=True)
    ]


@asynccontextmanager
async def _running(clients: Sequence[GreedyClient], result: Greedy) -> AsyncIterator[None]:
    started, running = time.monotonic(), [asyncio.create_task(client.run()) for client in clients]
    await asyncio.sleep(_SETTLING_SECONDS)
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        result.greedy_seconds += time.monotonic() - started


async def _until_over(starts_at: datetime) -> None:
    await asyncio.sleep(max(0.0, (starts_at + _START_MARGIN - datetime.now(UTC)).total_seconds()))
