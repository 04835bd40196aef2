"""Bookings and bare workflows in alternating batches: how many a second, and at what price each."""

import asyncio
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from bench.actions import HistoryCost, history_cost
from bench.baseline_process import BaselineWorker
from bench.bookings import Booked, Bookings, playing
from bench.concurrency import each
from bench.cpu import Meter, Usage
from bench.stack import Place
from models.domain.ids import workflow_id
from sandbox.demo.marketplace import Marketplace

BATCH: Final = 25
"""Bookings whose sessions begin at the same moment."""

BARE_WORKER: Final = "bare worker"

_FIRST_GUESS: Final = timedelta(milliseconds=400)
_SHORTEST_LEAD: Final = timedelta(seconds=3)
_CAUTION: Final = 3
_JUST_AFTER: Final = timedelta(milliseconds=100)


@dataclass
class Batch:
    """What a batch of bookings took, and the batch of as many bare workflows that ran in the middle of it."""

    bookings: int
    holdfast: Usage = field(default_factory=Usage)
    bare: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class Throughput:
    batches: list[Batch]
    step_seconds: dict[str, list[float]]
    holdfast_histories: list[HistoryCost]
    bare_histories: list[HistoryCost]
    stripe_calls: float
    """A booking."""
    stripe_mutations: float


class _Run:
    """One run of the bench. A batch is paid and approved; bare workflows run until its sessions begin; then it is
    completed. So neither side is measured while it only waits, and a machine that becomes slower slows both."""

    def __init__(self, market: Marketplace, bookings: Bookings, bare: BaselineWorker, at_once: int) -> None:
        self._market = market
        self._bookings = bookings
        self._bare = bare
        self._at_once = at_once
        self._takes = _FIRST_GUESS
        pids = market.stack.pids
        self._holdfast_meter = Meter(pids)
        self._bare_meter = Meter({BARE_WORKER: bare.pid, "temporal": pids["temporal"]})
        self.holdfast_ids: list[str] = []
        self.bare_ids: list[str] = []

    async def batch(self, size: int) -> Batch:
        batch = Batch(size)
        # A booking that is not approved when its session begins has expired.
        starts_at = datetime.now(UTC) + _SHORTEST_LEAD + _CAUTION * size * self._takes
        pairs = await self._bookings.pairs(starts_at, size)
        began = datetime.now(UTC)
        async with self._holdfast_meter.measuring(batch.holdfast):
            booked = await each(pairs, self._bookings.pay_and_approve, self._at_once)
        self._takes = (datetime.now(UTC) - began) / size
        async with self._bare_meter.measuring(batch.bare):
            bare_ids = await each(range(size), self._bare.play, self._at_once)
        await _until(starts_at + _JUST_AFTER)
        async with self._holdfast_meter.measuring(batch.holdfast):
            await each(booked, self._bookings.complete, self._at_once)
        self.bare_ids += bare_ids
        self.holdfast_ids += [_workflow_id(one) for one in booked]
        return batch

    async def costs(self, ids: list[str]) -> list[HistoryCost]:
        return await each(ids, lambda id: history_cost(self._market.temporal.get_workflow_handle(id)), self._at_once)


async def measure(place: Place, bookings: int, at_once: int) -> Throughput:
    market = place.market
    sizes = _batches(bookings)
    async with (
        playing(market, max(sizes)) as played,
        BaselineWorker(market.temporal, market.stack.temporal_address) as bare,
    ):
        run = _Run(market, played, bare, at_once)
        # Connections, caches and compiled code are made once; the first batch makes them, and is forgotten.
        await run.batch(min(max(sizes), at_once))
        played.seconds.clear()
        run.holdfast_ids.clear()
        run.bare_ids.clear()
        place.stripe_log.start()
        batches = []
        for number, size in enumerate(sizes, start=1):
            print(f"batch {number} of {len(sizes)}: {size} bookings", file=sys.stderr, flush=True)
            batches.append(await run.batch(size))
        calls = place.stripe_log.calls()
        return Throughput(
            batches=batches,
            step_seconds=dict(played.seconds),
            holdfast_histories=await run.costs(run.holdfast_ids),
            bare_histories=await run.costs(run.bare_ids),
            stripe_calls=len(calls) / bookings,
            stripe_mutations=sum(call.is_mutating for call in calls) / bookings,
        )


def _batches(bookings: int) -> list[int]:
    """Batches as equal as can be, none larger than `BATCH`."""
    count = -(-bookings // BATCH)
    return [bookings // count + (number < bookings % count) for number in range(count)]


def _workflow_id(booked: Booked) -> str:
    return workflow_id(booked.booking_id)


async def _until(moment: datetime) -> None:
    await asyncio.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))
