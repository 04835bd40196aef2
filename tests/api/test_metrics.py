"""The API's metrics are on a port of their own, and no route of the API shows them."""

import socket
import threading

import httpx
import pytest
from fastapi import FastAPI
from temporalio.client import Client

from api.main import build_app
from api.metrics import serve_metrics
from models.db import build_engine
from sandbox.stack.ports import LOOPBACK, free_port
from tests.api.scraping import scrape
from tests.api.world import World, problem, settings


async def test_metrics_are_labelled_by_route_and_never_by_id(
    app: FastAPI, client: httpx.AsyncClient, world: World
) -> None:
    booking_id = await world.booking()
    await client.get(f"/v1/bookings/{booking_id}", headers=world.student.headers)
    await client.get("/v1/nothing/of/the/kind")
    text = await scrape(app)
    assert 'method="GET",route="/v1/bookings/{booking_id}",status="200"} 1.0' in text
    assert 'method="GET",route="unmatched",status="404"} 1.0' in text
    assert "holdfast_http_request_seconds_bucket" in text
    assert str(booking_id) not in text


async def test_the_public_port_serves_no_metrics(client: httpx.AsyncClient, world: World) -> None:
    for headers in ({}, world.operator.headers):
        assert problem(await client.get("/metrics", headers=headers)) == (404, "not-found")


async def test_metrics_are_served_while_postgres_is_down(task_queue: str, temporal: Client) -> None:
    url = f"postgresql+psycopg://nobody@{LOOPBACK}:{free_port()}/nothing"
    engine = build_engine(url)
    text = await scrape(build_app(settings(url, task_queue), engine, temporal))
    assert "holdfast_http_requests" in text
    await engine.dispose()


async def test_metrics_are_rendered_outside_the_event_loop(app: FastAPI) -> None:
    rendered_in = set()

    class Witness:
        def collect(self) -> list[object]:
            rendered_in.add(threading.current_thread())
            return []

    app.state.metrics.registry.register(Witness())
    rendered_in.clear()
    await scrape(app)
    assert rendered_in
    assert threading.current_thread() not in rendered_in


async def test_the_port_is_free_again_afterwards_and_one_in_use_is_an_error(app: FastAPI) -> None:
    with (
        serve_metrics(app, LOOPBACK, 0) as port,
        pytest.raises(OSError, match="in use"),
        serve_metrics(app, LOOPBACK, port),
    ):
        pass
    with socket.socket() as probe:
        assert probe.connect_ex((LOOPBACK, port)) != 0
