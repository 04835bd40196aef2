from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.routing import BaseRoute
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from api.bookings.event_stream import EventStreams
from api.http.notify_listener import NotifyListener
from api.main import build_app
from sandbox.stack.ports import free_port
from tests.api.world import PUBLIC_URL, World, settings


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    return await World.create(engine)


@pytest.fixture
def task_queue() -> str:
    """A queue of the test's own: no other test's worker takes its bookings."""
    return f"api-{uuid4()}"


@pytest.fixture
async def temporal() -> Client:
    """A client of a Temporal that is down. Overridden where a test needs one that is up."""
    return await Client.connect(f"127.0.0.1:{free_port()}", data_converter=pydantic_data_converter, lazy=True)


@pytest.fixture(scope="session")
def _routes() -> list[BaseRoute]:
    return []


@pytest.fixture
def app(database_url: str, task_queue: str, engine: AsyncEngine, temporal: Client, _routes: list[BaseRoute]) -> FastAPI:
    app = build_app(settings(database_url, task_queue), engine, temporal)
    # FastAPI resolves the parameters of a route when it is first matched, which takes longer than most tests. All
    # apps have the same routes, so later apps take the resolved ones of the first.
    if not _routes:
        _routes += app.router.routes
    app.router.routes[:] = _routes
    # A stream ends when it has sent what there is: httpx returns a response only when it is complete.
    app.state.streams = EventStreams(NotifyListener(engine.url), max_duration=timedelta(0))
    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client:
        yield client
    streams: EventStreams = app.state.streams
    await streams.feed.close()
