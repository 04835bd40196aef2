"""Many things at once, but not more than so many."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

A = TypeVar("A")
T = TypeVar("T")


async def each(items: Iterable[A], act: Callable[[A], Awaitable[T]], at_once: int) -> list[T]:
    """Act on every item, at most `at_once` at a time. The first failure cancels the others and is raised."""
    free = asyncio.Semaphore(at_once)

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
