"""Heavy callers wait while the event loop is busy, and no longer."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from api.http import backpressure
from api.http.backpressure import Backpressure

_EVER = 3600.0
_PATIENCE_SECONDS = 20


@contextmanager
def busy_loop() -> Iterator[None]:
    """The event loop is occupied, as by many requests at the same time."""

    async def occupy() -> None:
        while True:
            time.sleep(4 * backpressure._BUSY_SECONDS)  # noqa: ASYNC251 - blocks on purpose
            await asyncio.sleep(0)

    task = asyncio.create_task(occupy())
    try:
        yield
    finally:
        task.cancel()


async def test_nobody_waits_while_there_is_time() -> None:
    turns = Backpressure(max_seconds=_EVER)
    async with asyncio.timeout(_PATIENCE_SECONDS):
        await asyncio.gather(*(turns.wait_turn() for _ in range(20)))


async def test_heavy_callers_wait_until_the_event_loop_has_time() -> None:
    turns = Backpressure(max_seconds=_EVER)
    with busy_loop():
        waiting = [asyncio.create_task(turns.wait_turn()) for _ in range(3)]
        await asyncio.sleep(0.5)
        assert not any(task.done() for task in waiting)
    async with asyncio.timeout(_PATIENCE_SECONDS):
        await asyncio.gather(*waiting)


async def test_a_process_that_is_always_busy_still_answers() -> None:
    turns = Backpressure(max_seconds=0.2)
    with busy_loop():
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await asyncio.gather(*(turns.wait_turn() for _ in range(3)))
