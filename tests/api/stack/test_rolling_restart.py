"""A rolling restart of worker and API while students book: every request is answered, and nothing happens twice."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Self
from uuid import uuid4

import httpx
import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.stripe.client import stripe_client
from bench.bookings import booking_driver
from bench.concurrency import map_concurrently
from models.db import build_engine
from models.domain.stripe_events import BOOKING_METADATA
from sandbox.browser.checkout_page import pay
from sandbox.demo.marketplace import Marketplace, Pair
from sandbox.demo.people import Json
from sandbox.stack import holdfast_processes
from sandbox.stack.ports import LOOPBACK, free_port
from sandbox.stack.processes import Process
from sandbox.stack.stack import Stack

_BOOKINGS = 12
_AT_ONCE = 4
_UNDER_LOAD_SECONDS = 0.5
_PATIENCE_SECONDS = 20
_PAUSE_SECONDS = 0.1


class LoadBalancer(httpx.AsyncHTTPTransport):
    """Sends a request that an API did not answer to the next one, as proxies do. Its idempotency key goes along."""

    def __init__(self, urls: Iterable[str]) -> None:
        super().__init__()
        self._urls = cycle(httpx.URL(url) for url in urls)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                url = next(self._urls)
                request.url = request.url.copy_with(host=url.host, port=url.port)
                try:
                    response = await super().handle_async_request(request)
                except httpx.TransportError:
                    await asyncio.sleep(_PAUSE_SECONDS)
                    continue
                if response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    return response
                await response.aclose()
                await asyncio.sleep(_PAUSE_SECONDS)


@dataclass(frozen=True)
class Release:
    """A worker and an API, on a task queue that the stack's own do not have."""

    worker: Process
    api: Process
    url: str

    @classmethod
    def of(cls, stack: Stack, name: str) -> Self:
        url, *metrics = (f"http://{LOOPBACK}:{free_port()}" for _ in range(3))
        queue, logs = {"HOLDFAST_TASK_QUEUE": "rolling"}, stack.logs / name
        return cls(
            holdfast_processes.worker(
                stack.worker_environment | queue, metrics_url=f"{metrics[0]}/metrics", log=logs / "worker.log"
            ),
            holdfast_processes.api(
                stack.environment | queue, url=url, metrics_url=f"{metrics[1]}/metrics", log=logs / "api.log"
            ),
            url,
        )

    async def start(self) -> None:
        await asyncio.gather(self.worker.start(), self.api.start())

    async def stop(self) -> None:
        await asyncio.gather(self.worker.stop(), self.api.stop())


@pytest.fixture
async def releases(stack: Stack) -> AsyncIterator[tuple[Release, Release]]:
    """Both run, as in the middle of a roll-out."""
    old, new = Release.of(stack, "old"), Release.of(stack, "new")
    await asyncio.gather(old.start(), new.start())
    yield old, new
    await asyncio.gather(old.stop(), new.stop())


@pytest.fixture
async def market(stack: Stack, releases: tuple[Release, Release]) -> AsyncIterator[Marketplace]:
    engine = build_engine(stack.database_url)
    temporal = await Client.connect(stack.temporal_address, data_converter=pydantic_data_converter)
    balancer = LoadBalancer(each.url for each in releases)
    try:
        async with (
            httpx.AsyncClient(base_url=stack.api_url, timeout=30, transport=balancer) as http,
            stripe_client(stack.stripe_key, stack.stripe_url) as stripe,
        ):
            yield Marketplace(stack, http, engine, stripe, temporal)
    finally:
        await engine.dispose()


async def test_bookings_go_on_while_worker_and_api_are_replaced(
    market: Marketplace, releases: tuple[Release, Release]
) -> None:
    old, _ = releases
    async with booking_driver(market, _BOOKINGS) as driver:
        pairs = await driver.pairs(datetime.now(UTC) + timedelta(days=2), _BOOKINGS)
    load = asyncio.create_task(map_concurrently(pairs, _book_and_approve, _AT_ONCE))
    await asyncio.sleep(_UNDER_LOAD_SECONDS)
    assert not load.done()
    await old.stop()
    for booking in await load:
        assert (booking["status"], booking["payment"]["status"]) == ("ACCEPTED", "PENDING")
    intents = await market.stripe.v1.payment_intents.list_async({"limit": 100})
    ids = [each.metadata[BOOKING_METADATA] for each in intents.data if each.metadata]
    assert [ids.count(booking["id"]) for booking in load.result()] == [1] * _BOOKINGS


async def _book_and_approve(pair: Pair) -> Json:
    booking = await pair.student.book(pair.slot_id)
    assert await pay(booking["checkout_url"])
    await pair.student.wait_until(booking["id"], payment__status="PENDING")
    path = f"/bookings/{booking['id']}/approve"
    await pair.instructor.call("POST", path, 200, None, **{"Idempotency-Key": str(uuid4())})
    return await pair.student.wait_until(booking["id"], status="ACCEPTED")
