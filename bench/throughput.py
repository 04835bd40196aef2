"""Runs bookings, baseline workflows and the floor in alternating batches, and measures throughput and cost."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from bench.actions import HistoryCost, history_cost
from bench.baseline_process import BaselineWorker
from bench.bookings import BookingDriver, PaidBooking, booking_driver
from bench.concurrency import map_concurrently
from bench.cpu import Meter, Usage
from bench.floor_process import Floor, floor_process
from bench.polling import wait_for_mails
from bench.stack import BenchStack
from bench.stripe_calls import StripeCall
from models.domain.ids import workflow_id

BATCH: Final = 25
"""The largest number of bookings whose sessions start at the same time."""

BASELINE_WORKER: Final = "baseline worker"
FLOOR: Final = "floor"

_INITIAL_TIME_PER_BOOKING: Final = timedelta(milliseconds=400)
_SHORTEST_LEAD: Final = timedelta(seconds=3)
_LEAD_FACTOR: Final = 3
_START_MARGIN: Final = timedelta(milliseconds=100)


@dataclass
class Batch:
    """The usage of a batch of bookings, and of equal numbers of baseline workflows and of bookings on the floor.

    Both ran in the middle of it.
    """

    bookings: int
    holdfast: Usage = field(default_factory=Usage)
    baseline: Usage = field(default_factory=Usage)
    floor: Usage = field(default_factory=Usage)
    floor_mails: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class Throughput:
    batches: list[Batch]
    step_seconds: dict[str, list[float]]
    floor_seconds: dict[str, list[float]]
    holdfast_histories: list[HistoryCost]
    baseline_histories: list[HistoryCost]
    stripe_calls: float
    """Per booking, like `stripe_mutations`."""
    stripe_mutations: float


class _Run:
    """One run of the bench.

    A batch is paid and approved, baseline workflows and the floor run until its sessions start, then the batch is
    completed. No side is measured while it only waits, and a machine that slows down slows all.
    """

    def __init__(
        self, stack: BenchStack, driver: BookingDriver, baseline: BaselineWorker, floor: Floor, at_once: int
    ) -> None:
        self._market = market = stack.market
        self._stripe_log = stack.stripe_log
        self._driver = driver
        self._baseline = baseline
        self._floor = floor
        self._at_once = at_once
        self._time_per_booking = _INITIAL_TIME_PER_BOOKING
        pids = market.stack.pids
        self._holdfast_meter = Meter(pids)
        self._baseline_meter = Meter({BASELINE_WORKER: baseline.pid, "temporal": pids["temporal"]})
        self._floor_meter = Meter({FLOOR: floor.pid, "postgres": pids["postgres"]})
        self.holdfast_ids: list[str] = []
        self.baseline_ids: list[str] = []
        self.stripe_calls: list[StripeCall] = []

    async def batch(self, size: int) -> Batch:
        batch = Batch(size)
        # A booking that is not approved by the start of its session expires.
        starts_at = datetime.now(UTC) + _SHORTEST_LEAD + _LEAD_FACTOR * size * self._time_per_booking
        pairs = await self._driver.pairs(starts_at, size)
        start = datetime.now(UTC)
        booked: list[PaidBooking] = []

        async def mails_sent() -> None:
            await wait_for_mails(self._market.engine, [each.booking_id for each in booked])

        async with self._measuring(batch, mails_sent):
            booked += await map_concurrently(pairs, self._driver.pay_and_approve, self._at_once)
        self._time_per_booking = (datetime.now(UTC) - start) / size
        async with self._baseline_meter.measuring(batch.baseline):
            baseline_ids = await map_concurrently(range(size), self._baseline.run_workflow, self._at_once)
        await self._run_floor(batch)
        await _sleep_until(starts_at + _START_MARGIN)
        async with self._measuring(batch, mails_sent):
            await map_concurrently(booked, self._driver.complete, self._at_once)
        self.baseline_ids += baseline_ids
        self.holdfast_ids += [workflow_id(booking.booking_id) for booking in booked]
        return batch

    @asynccontextmanager
    async def _measuring(self, batch: Batch, until: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
        self._stripe_log.start()
        async with self._holdfast_meter.measuring(batch.holdfast, until):
            yield
        self.stripe_calls += self._stripe_log.calls()

    async def _run_floor(self, batch: Batch) -> None:
        """Mails are sent where they are sent of the others, but apart, so that their CPU can be told."""
        floor, meter = self._floor, self._floor_meter
        orders = await map_concurrently(range(batch.bookings), floor.order, self._at_once)
        async with meter.measuring(batch.floor):
            ids = await map_concurrently(orders, floor.pay_and_approve, self._at_once)
        async with meter.measuring(batch.floor_mails):
            await floor.send_mails()
        async with meter.measuring(batch.floor):
            await map_concurrently(ids, floor.complete, self._at_once)
        async with meter.measuring(batch.floor_mails):
            await floor.send_mails()

    async def costs(self, ids: list[str]) -> list[HistoryCost]:
        return await map_concurrently(
            ids, lambda id: history_cost(self._market.temporal.get_workflow_handle(id)), self._at_once
        )


async def measure(stack: BenchStack, bookings: int, at_once: int) -> Throughput:
    market = stack.market
    sizes = _batches(bookings)
    async with (
        booking_driver(market, max(sizes)) as driver,
        BaselineWorker(market.temporal, market.stack.temporal_address) as baseline,
        floor_process(market) as floor,
    ):
        run = _Run(stack, driver, baseline, floor, at_once)
        # A discarded first batch warms up connections, caches and compiled code.
        await run.batch(min(max(sizes), at_once))
        driver.seconds.clear()
        floor.seconds.clear()
        run.holdfast_ids.clear()
        run.baseline_ids.clear()
        run.stripe_calls.clear()
        batches = []
        for number, size in enumerate(sizes, start=1):
            print(f"batch {number} of {len(sizes)}: {size} bookings", file=sys.stderr, flush=True)
            batches.append(await run.batch(size))
        return Throughput(
            batches=batches,
            step_seconds=dict(driver.seconds),
            floor_seconds=dict(floor.seconds),
            holdfast_histories=await run.costs(run.holdfast_ids),
            baseline_histories=await run.costs(run.baseline_ids),
            stripe_calls=len(run.stripe_calls) / bookings,
            stripe_mutations=sum(call.is_mutating for call in run.stripe_calls) / bookings,
        )


def _batches(bookings: int) -> list[int]:
    """The sizes of the batches, as equal as possible and none above `BATCH`."""
    count = -(-bookings // BATCH)
    return [bookings // count + (number < bookings % count) for number in range(count)]


async def _sleep_until(moment: datetime) -> None:
    await asyncio.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))
