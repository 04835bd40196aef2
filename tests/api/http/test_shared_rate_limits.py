"""Rate limits that several API processes count together, in a storage that may fail."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI
from limits.aio.storage import MemoryStorage
from limits.errors import ConfigurationError, StorageError

from api.http.rate_limits import Quota, RateLimits, redis_storage

FEW = Quota("few", 2, 60)


class FailingStorage(MemoryStorage):
    """Stands in for a Redis: fails, or does not answer at all."""

    def __init__(self, *, hangs: bool) -> None:
        super().__init__()
        self.hangs = hangs
        self.asked = 0

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        raise StorageError(ConnectionError("no Redis"))


async def spend(limits: RateLimits, times: int = 1) -> list[bool]:
    return [(await limits.spend(FEW, "ada"))[0] for _ in range(times)]


async def test_processes_with_one_storage_share_their_counts() -> None:
    storage = MemoryStorage()
    one, other = RateLimits(storage), RateLimits(storage)
    assert await spend(one) + await spend(other) == [True, True]
    assert await spend(one) + await spend(other) == [False, False]
    await one.forget(FEW, "ada")
    assert await spend(other) == [True]


async def test_processes_without_one_count_for_themselves() -> None:
    one, other = RateLimits(), RateLimits()
    assert await spend(one, 3) == await spend(other, 3) == [True, True, False]


@pytest.mark.parametrize("hangs", [False, True])
async def test_without_the_storage_a_process_counts_for_itself_and_does_not_ask_each_time(hangs: bool) -> None:
    storage = FailingStorage(hangs=hangs)
    limits = RateLimits(storage)
    async with asyncio.timeout(20):
        assert await spend(limits, 3) == [True, True, False]
        await limits.forget(FEW, "ada")
        assert await spend(limits) == [True]
    assert storage.asked == 1


async def test_requests_are_answered_while_the_storage_is_down(app: FastAPI, client: httpx.AsyncClient) -> None:
    app.state.limits = RateLimits(FailingStorage(hangs=False))
    answer = await client.get("/v1/instructors/nobody")
    assert answer.status_code == 404
    assert answer.headers["ratelimit"].startswith('"general";r=599;')


def test_a_missing_client_library_is_reported_at_start_up() -> None:
    try:
        import redis  # type: ignore[import-not-found,unused-ignore]  # noqa: F401
    except ImportError:
        with pytest.raises(ConfigurationError, match="redis"):
            redis_storage("redis://127.0.0.1:6379")
    else:
        assert redis_storage("redis://127.0.0.1:6379")
