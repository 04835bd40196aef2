from collections.abc import AsyncIterator

import httpx
import pytest
from temporalio.client import Client

from api.main import build_app
from models.db import build_engine
from sandbox.stack.ports import free_port
from tests.api.world import PUBLIC_URL, World, problem, settings


@pytest.fixture
async def isolated(task_queue: str, temporal: Client) -> AsyncIterator[httpx.AsyncClient]:
    """The API without Postgres and without Temporal."""
    url = f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/nothing"
    engine = build_engine(url)
    app = build_app(settings(url, task_queue), engine, temporal)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client:
        yield client
    await engine.dispose()


async def test_liveness_does_not_depend_on_other_services(isolated: httpx.AsyncClient) -> None:
    assert (await isolated.get("/healthz")).status_code == 200


async def test_readiness_names_the_missing_services(isolated: httpx.AsyncClient) -> None:
    answer = await isolated.get("/readyz")
    assert problem(answer) == (503, "unavailable")
    assert answer.json()["missing"] == ["postgres", "temporal"]


async def test_readiness_without_temporal_names_only_temporal(client: httpx.AsyncClient) -> None:
    assert (await client.get("/readyz")).json()["missing"] == ["temporal"]


async def test_a_read_without_postgres_can_be_retried(isolated: httpx.AsyncClient, world: World) -> None:
    answer = await isolated.get("/v1/bookings", headers=world.student.headers)
    assert problem(answer) == (503, "unavailable")
    assert answer.headers["retry-after"]
