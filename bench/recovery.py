"""`./run bench --recovery`: how long bookings take to continue after their worker was killed.

Measured from the readiness of a new worker until the approval is in Postgres, not until the API responds.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from bench import polling
from bench.bookings import BookingDriver, PaidBooking, booking_driver
from bench.concurrency import map_concurrently
from bench.polling import BookingPoller
from bench.stack import BenchStack
from sandbox.demo.people import Unexpected
from sandbox.stack.stack import Stack

_SESSION_STARTS_IN: Final = timedelta(hours=2)
_MAX_CONCURRENCY: Final = 8
_KILL_AFTER_SECONDS: Final = 0.03
_RETRY_SECONDS: Final = 0.5
_TIMEOUT_SECONDS: Final = 60


@dataclass(frozen=True)
class Recovery:
    """Seconds per booking, from the new worker's readiness or from the approval, whichever is later."""

    worker_start_seconds: float
    """From the new worker's start to its readiness. No booking continues earlier."""
    approved_meanwhile: list[float]
    """Approved while there was no worker."""
    approved_afterwards: list[float]
    """Approved once the new worker was ready."""
    caught_in_a_step: list[float]
    """Being approved when the worker was killed."""

    @property
    def waiting(self) -> list[float]:
        return self.approved_meanwhile + self.approved_afterwards


async def measure(stack: BenchStack, bookings: int) -> Recovery:
    """Measure `bookings` bookings of each kind."""
    market = stack.market
    async with (
        booking_driver(market, 3 * bookings) as driver,
        polling.polling(market.engine, polling.accepted) as accepted,
    ):
        pairs = await driver.pairs(datetime.now(UTC) + _SESSION_STARTS_IN, 3 * bookings)
        booked = await map_concurrently(pairs, driver.pay, _MAX_CONCURRENCY)
        kinds = [booked[kind * bookings : (kind + 1) * bookings] for kind in range(3)]
        return await _kill_and_start(market.stack, driver, accepted, *kinds)


async def _kill_and_start(
    stack: Stack,
    driver: BookingDriver,
    accepted: BookingPoller,
    caught: Sequence[PaidBooking],
    meanwhile: Sequence[PaidBooking],
    afterwards: Sequence[PaidBooking],
) -> Recovery:
    async with asyncio.timeout(_TIMEOUT_SECONDS), asyncio.TaskGroup() as group:

        def approve(bookings: Sequence[PaidBooking]) -> list[asyncio.Task[float]]:
            return [group.create_task(_accepted_at(driver, accepted, booked)) for booked in bookings]

        of_caught = approve(caught)
        await asyncio.sleep(_KILL_AFTER_SECONDS)
        await stack.kill_worker()
        of_meanwhile = approve(meanwhile)
        started = time.monotonic()
        await stack.start_worker()
        ready = time.monotonic()
        of_afterwards = approve(afterwards)
    return Recovery(
        worker_start_seconds=ready - started,
        approved_meanwhile=_after(ready, of_meanwhile),
        approved_afterwards=_after(ready, of_afterwards),
        caught_in_a_step=_after(ready, of_caught),
    )


async def _accepted_at(driver: BookingDriver, accepted: BookingPoller, booked: PaidBooking) -> float:
    approving = asyncio.create_task(_approve(driver, booked))
    await accepted.wait_for(booked.booking_id)
    seen = time.monotonic()
    await approving
    return seen


async def _approve(driver: BookingDriver, booked: PaidBooking) -> None:
    """Retry while the outcome is unknown. A 409 means that the booking is approved already."""
    while True:
        try:
            await driver.approve(booked)
        except Unexpected as error:
            if "409" in str(error):
                return
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return


def _after(ready: float, tasks: Sequence[asyncio.Task[float]]) -> list[float]:
    """A booking that was approved before the kill counts as zero seconds."""
    return [max(0.0, task.result() - ready) for task in tasks]
