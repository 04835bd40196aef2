"""Idempotency keys: a request can be repeated after a crash between any two steps, and books once."""

import asyncio
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.bookings.client import BookingClient
from api.http.rate_limits import BOOKINGS
from api.main import build_app
from models.domain.messages import ReserveSlot
from tests.api.world import PUBLIC_URL, World, add_student, book, problem, settings

# The Stripe SDK's own use of httpx.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
    pytest.mark.usefixtures("worker"),
]


class Crashing(BookingClient):
    """A client whose process crashes before the workflow is started, or right after."""

    def __init__(self, saga: BookingClient, *, after: bool) -> None:
        self._inner = saga
        self._after = after

    async def open_checkout(self, order: ReserveSlot, title: str) -> None:
        if self._after:
            await self._inner.open_checkout(order, title)
        raise KeyboardInterrupt


@pytest.mark.parametrize("after", [False, True], ids=["before the workflow starts", "after the workflow starts"])
async def test_request_repeated_after_a_crash_returns_the_same_booking(
    app: FastAPI, client: httpx.AsyncClient, world: World, after: bool
) -> None:
    slot_id, alive = await world.slot(), app.state.bookings
    app.state.bookings = Crashing(alive, after=after)
    with pytest.raises(BaseException):  # noqa: B017, PT011 - a crash, seen from outside
        await book(client, world.student, slot_id)
    app.state.bookings = alive
    answers = [await book(client, world.student, slot_id) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    listed = await client.get("/v1/bookings", headers=world.student.headers)
    assert len(listed.json()["data"]) == 1


async def test_repeated_requests_do_not_count_against_the_quota(client: httpx.AsyncClient, world: World) -> None:
    slot_id = await world.slot()
    answers = [await book(client, world.student, slot_id) for _ in range(BOOKINGS.requests + 1)]
    assert {answer.status_code for answer in answers} == {201}
    another = await book(client, world.student, slot_id, key="second")
    assert f'"bookings";r={BOOKINGS.requests - 2}' in another.headers["ratelimit"]


async def test_concurrent_requests_in_two_processes_book_once(
    client: httpx.AsyncClient, world: World, database_url: str, task_queue: str, engine: AsyncEngine, temporal: Client
) -> None:
    """Two apps stand for two processes."""
    slot_id = await world.slot()
    other = httpx.ASGITransport(build_app(settings(database_url, task_queue), engine, temporal))
    async with httpx.AsyncClient(transport=other, base_url=PUBLIC_URL) as second:
        answers = await asyncio.gather(*(book(each, world.student, slot_id) for each in (client, second)))
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    listed = await client.get("/v1/bookings", headers=world.student.headers)
    assert [each["id"] for each in listed.json()["data"]] == [answers[0].json()["id"]]


async def test_another_body_with_the_same_key_is_refused(client: httpx.AsyncClient, world: World) -> None:
    slots = [await world.slot(timedelta(days=days)) for days in (1, 2)]
    assert (await book(client, world.student, slots[0])).status_code == 201
    assert problem(await book(client, world.student, slots[1])) == (422, "idempotency-key-reused")


async def test_key_of_a_refused_request_can_be_used_again(client: httpx.AsyncClient, world: World) -> None:
    begun = await world.slot(timedelta(minutes=-5))
    assert problem(await book(client, world.student, begun)) == (409, "slot-in-the-past")
    assert (await book(client, world.student, await world.slot())).status_code == 201


async def test_keys_are_scoped_to_the_student(client: httpx.AsyncClient, world: World) -> None:
    other = await add_student(world.engine)
    slots = [await world.slot(timedelta(days=days)) for days in (1, 2)]
    answers = [await book(client, student, slot) for student, slot in zip((world.student, other), slots, strict=True)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["id"] != answers[1].json()["id"]
