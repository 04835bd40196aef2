"""Plays bookings from POST to captured: through the API and the Checkout page, as their people would."""

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from bench import watch
from bench.watch import Watch
from models.domain.actors import Role
from sandbox import seed
from sandbox.browser.checkout_page import pay
from sandbox.demo.marketplace import PRICE, Marketplace, Pair
from sandbox.demo.people import Person, Unexpected
from sandbox.stack.connected_accounts import create_connected_account

_SESSION_LASTS: Final = timedelta(seconds=1)

STEPS: Final = {
    "book": "POST /v1/bookings until the Checkout URL is there",
    "pay": "the Checkout page: read and sent",
    "authorize": "from the card taken until the money is seen as held",
    "approve": "POST …/approve until the session is there",
    "complete": "POST …/complete until the money is captured",
}


@dataclass(frozen=True)
class Teacher:
    """An instructor with an offering."""

    person: Person
    offering_id: UUID


@dataclass(frozen=True)
class Booked:
    booking_id: UUID
    pair: Pair


class Bookings:
    """Plays them for `market` with these teachers. `seconds` has how long each step took, by name of the step."""

    def __init__(self, market: Marketplace, teachers: Sequence[Teacher], held: Watch) -> None:
        self._market = market
        self._teachers = teachers
        self._held = held
        self.seconds: dict[str, list[float]] = defaultdict(list)

    async def pairs(self, starts_at: datetime, count: int) -> list[Pair]:
        """A slot of each of `count` teachers, each with a student who has never paid here before."""
        ends_at = starts_at + _SESSION_LASTS
        return [
            Pair(
                student=self._market.person(Role.STUDENT, await seed.add_student(self._market.engine)),
                instructor=teacher.person,
                slot_id=await seed.add_slot(self._market.engine, teacher.offering_id, starts_at, ends_at),
                starts_at=starts_at,
            )
            for teacher in self._teachers[:count]
        ]

    async def pay(self, pair: Pair) -> Booked:
        """Book and pay; the money is held when this returns."""
        with self._timed("book"):
            booking = await pair.student.book(pair.slot_id)
        with self._timed("pay"):
            if not await pay(booking["checkout_url"]):
                raise Unexpected(f"the Checkout page refused a good card for booking {booking['id']}")
        booked = Booked(UUID(booking["id"]), pair)
        with self._timed("authorize"):
            await self._held.until(booked.booking_id)
        return booked

    async def approve(self, booked: Booked) -> Booked:
        with self._timed("approve"):
            await booked.pair.instructor.decide(str(booked.booking_id), "approve")
        return booked

    async def pay_and_approve(self, pair: Pair) -> Booked:
        return await self.approve(await self.pay(pair))

    async def complete(self, booked: Booked) -> None:
        """Possible once the session has begun. Raises `Unexpected` when the money is not captured after it."""
        with self._timed("complete"):
            booking = await booked.pair.instructor.decide(str(booked.booking_id), "complete")
        if booking["payment"]["status"] != "CAPTURED":
            raise Unexpected(f"booking {booked.booking_id} is complete, and its payment is {booking['payment']}")

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[step].append(time.monotonic() - began)


@asynccontextmanager
async def playing(market: Marketplace, teachers: int) -> AsyncIterator[Bookings]:
    """So many teachers are hired first: as many as there will be sessions at the same time."""
    hired = [await _teacher(market) for _ in range(teachers)]
    async with watch.watching(market.engine, watch.held) as held:
        yield Bookings(market, hired, held)


async def _teacher(market: Marketplace) -> Teacher:
    instructor_id, email = uuid4(), f"{uuid4()}@instructors.example"
    account_id = await create_connected_account(market.stripe, instructor_id, "Ines", "Instructor", email)
    await seed.add_instructor(market.engine, account_id, "Ines Instructor", email, instructor_id=instructor_id)
    offering_id = await seed.add_offering(market.engine, instructor_id, PRICE)
    return Teacher(market.person(Role.INSTRUCTOR, instructor_id), offering_id)
