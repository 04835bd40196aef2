"""Drives bookings from POST to capture, through the API and the Checkout page, as students and instructors would."""

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from bench import polling
from bench.polling import BookingPoller
from models.domain.actors import Role
from sandbox import seed
from sandbox.browser.checkout_page import pay
from sandbox.demo.marketplace import PRICE, Marketplace, Pair
from sandbox.demo.people import Person, Unexpected
from sandbox.stack.connected_accounts import create_connected_account

_SESSION_LENGTH: Final = timedelta(seconds=1)

STEPS: Final = {
    "book": "POST /v1/bookings until the Checkout URL is there",
    "pay": "the Checkout page: read and sent",
    "authorize": "from the card taken until the money is seen as held",
    "approve": "POST …/approve until the session is there",
    "complete": "POST …/confirm until the money is captured",
}


@dataclass(frozen=True)
class InstructorOffering:
    """An instructor and the one offering they have."""

    instructor: Person
    offering_id: UUID


@dataclass(frozen=True)
class PaidBooking:
    """A booking whose money is held."""

    booking_id: UUID
    pair: Pair


class BookingDriver:
    """Takes bookings of these offerings through the steps. `seconds` lists the durations of each step, by its name."""

    def __init__(self, market: Marketplace, offerings: Sequence[InstructorOffering], held: BookingPoller) -> None:
        self._market = market
        self._offerings = offerings
        self._held = held
        self.seconds: dict[str, list[float]] = defaultdict(list)

    async def pairs(self, starts_at: datetime, count: int) -> list[Pair]:
        """`count` slots, each of another instructor and with a new student."""
        ends_at = starts_at + _SESSION_LENGTH
        return [
            Pair(
                student=self._market.person(Role.STUDENT, await seed.add_student(self._market.engine)),
                instructor=offering.instructor,
                slot_id=await seed.add_slot(self._market.engine, offering.offering_id, starts_at, ends_at),
                starts_at=starts_at,
            )
            for offering in self._offerings[:count]
        ]

    async def pay(self, pair: Pair) -> PaidBooking:
        """Book and pay. The money is held when this returns."""
        with self._timed("book"):
            booking = await pair.student.book(pair.slot_id)
        with self._timed("pay"):
            if not await pay(booking["checkout_url"]):
                raise Unexpected(f"the Checkout page refused a good card for booking {booking['id']}")
        booked = PaidBooking(UUID(booking["id"]), pair)
        with self._timed("authorize"):
            await self._held.wait_for(booked.booking_id)
        return booked

    async def approve(self, booked: PaidBooking) -> PaidBooking:
        with self._timed("approve"):
            await booked.pair.instructor.decide(str(booked.booking_id), "approve")
        return booked

    async def pay_and_approve(self, pair: Pair) -> PaidBooking:
        return await self.approve(await self.pay(pair))

    async def complete(self, booked: PaidBooking) -> None:
        """The student confirms a session that has started. Raises `Unexpected` if the money is not captured then."""
        with self._timed("complete"):
            booking = await booked.pair.student.decide(str(booked.booking_id), "confirm")
        if booking["payment"]["status"] != "CAPTURED":
            raise Unexpected(f"booking {booked.booking_id} is complete, and its payment is {booking['payment']}")

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds[step].append(time.monotonic() - start)


@asynccontextmanager
async def booking_driver(market: Marketplace, instructors: int) -> AsyncIterator[BookingDriver]:
    """Create `instructors` first, which must be as many as there are sessions at the same time."""
    offerings = [await _instructor_offering(market) for _ in range(instructors)]
    async with polling.polling(market.engine, polling.held) as held:
        yield BookingDriver(market, offerings, held)


async def _instructor_offering(market: Marketplace) -> InstructorOffering:
    instructor_id, email = uuid4(), f"{uuid4()}@instructors.example"
    account_id = await create_connected_account(market.stripe, instructor_id, "Ines", "Instructor", email)
    await seed.add_instructor(market.engine, account_id, "Ines Instructor", email, instructor_id=instructor_id)
    offering_id = await seed.add_offering(market.engine, instructor_id, PRICE)
    return InstructorOffering(market.person(Role.INSTRUCTOR, instructor_id), offering_id)
