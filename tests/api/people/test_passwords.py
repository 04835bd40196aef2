"""How passwords are hashed: by which parameters, and how many at a time."""

import asyncio
import threading

import httpx
import pytest
from argon2 import extract_parameters
from fastapi import FastAPI

from api.http.problems import Kind, Problem
from api.people import passwords
from api.people.passwords import AsyncPasswordHasher
from tests.api.people.sign_in import CountingHasher, sign_in
from tests.api.world import problem


class BlockedHasher(CountingHasher):
    """Hashes nothing until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()
        self.running = 0
        self.most_running = 0

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        self.released.wait(20)
        self.running -= 1
        return super().hash(password, salt=salt)


@pytest.fixture
def blocked() -> BlockedHasher:
    return BlockedHasher()


async def test_hashes_are_made_with_the_parameters_of_owasp() -> None:
    used = extract_parameters(await AsyncPasswordHasher().hash("a long enough password"))
    assert (used.type.name, used.memory_cost, used.time_cost, used.parallelism) == ("ID", 19 * 1024, 2, 1)


async def test_a_bounded_number_of_hashes_waits_for_its_turn(blocked: BlockedHasher) -> None:
    hasher = AsyncPasswordHasher(blocked)
    fits = passwords._MAX_CONCURRENT + passwords._MAX_WAITING
    hashes = [asyncio.create_task(hasher.hash("a long enough password")) for _ in range(fits)]
    await asyncio.sleep(0.1)
    for _ in range(2):
        with pytest.raises(Problem) as refused:
            await hasher.hash("a long enough password")
        assert refused.value.kind is Kind.BUSY
    # A waiting caller who goes away leaves the queue.
    hashes.pop().cancel()
    await asyncio.sleep(0)
    hashes.append(asyncio.create_task(hasher.hash("a long enough password")))
    await asyncio.sleep(0)
    blocked.released.set()
    assert len(await asyncio.gather(*hashes)) == fits
    assert blocked.most_running <= passwords._MAX_CONCURRENT
    assert await hasher.hash("a long enough password")


async def test_a_sign_in_beyond_the_queue_is_asked_to_come_back(
    app: FastAPI, client: httpx.AsyncClient, blocked: BlockedHasher
) -> None:
    app.state.password_hasher = AsyncPasswordHasher(blocked)
    fits = passwords._MAX_CONCURRENT + passwords._MAX_WAITING
    waiting = [asyncio.create_task(sign_in(client, f"{number}@students.test")) for number in range(fits)]
    async with asyncio.timeout(20):
        while True:
            answer = await sign_in(client, "eve@students.test") if await _all_wait(app) else None
            if answer is not None:
                break
            await asyncio.sleep(0.02)
    assert problem(answer) == (503, "busy")
    assert int(answer.headers["retry-after"]) > 0
    blocked.released.set()
    assert {problem(each) for each in await asyncio.gather(*waiting)} == {(401, "sign-in-refused")}


async def test_hashes_of_heavy_callers_let_others_go_first(blocked: BlockedHasher) -> None:
    hasher = AsyncPasswordHasher(blocked)
    done = list[str]()

    async def hash(who: str) -> None:
        await hasher.hash("a long enough password", is_heavy=who == "heavy")
        done.append(who)

    heavy = [asyncio.create_task(hash("heavy")) for _ in range(6)]
    await asyncio.sleep(0.1)
    others = [asyncio.create_task(hash("other")) for _ in range(3)]
    blocked.released.set()
    await asyncio.gather(*heavy, *others)
    # At most one heavy caller is ahead of the others.
    assert done.index("other") <= 1
    assert done[4:] == ["heavy"] * 5


async def _all_wait(app: FastAPI) -> bool:
    hasher: AsyncPasswordHasher = app.state.password_hasher
    return hasher._waiting >= passwords._MAX_WAITING
