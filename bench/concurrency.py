"""Runs many tasks with bounded concurrency."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

A = TypeVar("A")
T = TypeVar("T")


async def map_concurrently(items: Iterable[A], act: Callable[[A], Awaitable[T]], limit: int) -> list[T]:
    """Call `act` for every item, at most `limit` at a time. The first failure cancels the others and is raised."""
    free = asyncio.Semaphore(limit)

    async def one(item: A) -> T:
        async with free:
            return await act(item)

    tasks = [asyncio.ensure_future(one(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
