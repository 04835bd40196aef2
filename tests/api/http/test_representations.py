"""Conditional requests and compression."""

import gzip
import json

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from api.http.representations import ETagMiddleware
from tests.api.world import World

PUBLIC = ["/v1/offerings", "/v1/offerings/{offering}", "/v1/offerings/{offering}/slots", "/v1/instructors/{instructor}"]


def url(path: str, world: World) -> str:
    return path.format(offering=world.offering_id, instructor=world.instructor.id)


@pytest.mark.parametrize("path", [*PUBLIC, "/v1/openapi.json", "/docs"])
async def test_public_response_is_revalidated(client: httpx.AsyncClient, world: World, path: str) -> None:
    first = await client.get(url(path, world))
    assert (first.status_code, first.headers["Cache-Control"]) == (200, "no-cache")
    known = {"If-None-Match": f'"another", {first.headers["ETag"]}'}
    again = await client.get(url(path, world), headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert "Content-Type" not in again.headers


@pytest.mark.parametrize("status", ["200", "304"])
async def test_etag_is_declared(app: FastAPI, status: str) -> None:
    tagged = [
        path
        for path, operations in app.openapi()["paths"].items()
        if "ETag" in operations.get("get", {}).get("responses", {}).get(status, {}).get("headers", {})
    ]
    assert sorted(tagged) == sorted(
        path.replace("offering}", "offering_id}").replace("tor}", "tor_id}") for path in PUBLIC
    )


async def test_changed_response_is_sent_in_full(client: httpx.AsyncClient, world: World) -> None:
    path = f"/v1/offerings/{world.offering_id}"
    first = await client.get(path)
    await client.patch(path, json={"title": "Fugue"}, headers=world.instructor.headers)
    again = await client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.json()["title"]) == (200, "Fugue")
    assert again.headers["ETag"] != first.headers["ETag"]


async def test_personal_response_is_not_kept(client: httpx.AsyncClient, world: World) -> None:
    answer = await client.get(f"/v1/bookings/{await world.booking()}", headers=world.student.headers)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers
    missing = await client.get("/v1/offerings/00000000-0000-4000-8000-000000000000")
    assert (missing.status_code, missing.headers["Cache-Control"]) == (404, "no-store")


async def test_api_is_compressed_and_pages_are_not(client: httpx.AsyncClient, app: FastAPI) -> None:
    async with client.stream("GET", "/v1/openapi.json", headers={"Accept-Encoding": "gzip"}) as answer:
        raw = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert (answer.headers["Content-Encoding"], answer.headers["Vary"]) == ("gzip", "Accept-Encoding")
    assert json.loads(gzip.decompress(raw)) == app.openapi()
    assert len(raw) < 150_000
    page = await client.get("/docs", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in page.headers


async def test_small_response_is_not_compressed(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/offerings", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in answer.headers


async def test_a_stream_is_sent_as_it_comes() -> None:
    """It is `no-cache`, too, and collecting it for an `ETag` would hold it back until it ends."""
    sent: list[Message] = []

    async def stream(_: Scope, __: Receive, send: Send) -> None:
        headers = [(b"cache-control", b"no-cache"), (b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: 1", "more_body": True})
        assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]

    async def receive() -> Message:
        raise AssertionError("nothing is received")

    async def send(message: Message) -> None:
        sent.append(message)

    await ETagMiddleware(stream)({"type": "http", "method": "GET", "headers": []}, receive, send)
    assert len(sent) == 2
