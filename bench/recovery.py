"""How long bookings stand still after their worker was killed: `./run bench --recovery`.

From the moment in which a new worker is ready, until an approval is seen in Postgres. The clock runs for the
bookings, not for the API's answers.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from bench import watch
from bench.bookings import Booked, Bookings, playing
from bench.concurrency import each
from bench.stack import Place
from bench.watch import Watch
from sandbox.demo.people import Unexpected
from sandbox.stack.stack import Stack

_SESSION_IN: Final = timedelta(hours=2)
_MOST_AT_ONCE: Final = 8
_JUST_BEFORE_SECONDS: Final = 0.03
_ASK_AGAIN_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 60


@dataclass(frozen=True)
class Recovery:
    """Seconds from the new worker's readiness (or from the approval, where that came later), a booking each."""

    worker_start_seconds: float
    """From the new worker's start to its readiness; no booking goes on before."""
    approved_meanwhile: list[float]
    """Waited for their instructor while there was no worker, and were approved in that time."""
    approved_afterwards: list[float]
    """Waited, and were approved once the new worker was ready."""
    caught_in_a_step: list[float]
    """Were being approved in the moment of the kill."""

    @property
    def waiting(self) -> list[float]:
        return self.approved_meanwhile + self.approved_afterwards


async def measure(place: Place, bookings: int) -> Recovery:
    """`bookings` of each kind."""
    market = place.market
    async with playing(market, 3 * bookings) as played, watch.watching(market.engine, watch.accepted) as accepted:
        pairs = await played.pairs(datetime.now(UTC) + _SESSION_IN, 3 * bookings)
        booked = await each(pairs, played.pay, _MOST_AT_ONCE)
        kinds = [booked[kind * bookings : (kind + 1) * bookings] for kind in range(3)]
        return await _kill_and_start(market.stack, played, accepted, *kinds)


async def _kill_and_start(
    stack: Stack,
    played: Bookings,
    accepted: Watch,
    caught: Sequence[Booked],
    meanwhile: Sequence[Booked],
    afterwards: Sequence[Booked],
) -> Recovery:
    async with asyncio.timeout(_PATIENCE_SECONDS), asyncio.TaskGroup() as group:

        def approve(bookings: Sequence[Booked]) -> list[asyncio.Task[float]]:
            return [group.create_task(_accepted_at(played, accepted, booked)) for booked in bookings]

        of_caught = approve(caught)
        await asyncio.sleep(_JUST_BEFORE_SECONDS)
        await stack.kill_worker()
        of_meanwhile = approve(meanwhile)
        began = time.monotonic()
        await stack.start_worker()
        ready = time.monotonic()
        of_afterwards = approve(afterwards)
    return Recovery(
        worker_start_seconds=ready - began,
        approved_meanwhile=_after(ready, of_meanwhile),
        approved_afterwards=_after(ready, of_afterwards),
        caught_in_a_step=_after(ready, of_caught),
    )


async def _accepted_at(played: Bookings, accepted: Watch, booked: Booked) -> float:
    approving = asyncio.create_task(_approve(played, booked))
    await accepted.until(booked.booking_id)
    seen = time.monotonic()
    await approving
    return seen


async def _approve(played: Bookings, booked: Booked) -> None:
    """As a person would who is told that it is not sure yet whether it worked."""
    while True:
        try:
            await played.approve(booked)
        except Unexpected as answer:
            if "409" in str(answer):
                return
            await asyncio.sleep(_ASK_AGAIN_SECONDS)
        else:
            return


def _after(ready: float, tasks: Sequence[asyncio.Task[float]]) -> list[float]:
    """A booking that had gone on before the kill counts as never having stood still."""
    return [max(0.0, task.result() - ready) for task in tasks]
