import ast
import re
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse

from api.http.middleware import MAX_BODY_BYTES
from api.http.problems import Kind
from tests.api import route_table
from tests.api.world import PUBLIC_URL, World, problem

API = Path(__file__).parents[3] / "api"


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1/offerings/"])
async def test_an_unknown_route_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    assert problem(await client.get(path)) == (404, "not-found")


async def test_an_unsupported_method_is_refused_with_the_allowed_ones(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/v1/bookings")
    assert problem(answer) == (405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, POST"


async def test_a_malformed_id_is_not_found(client: httpx.AsyncClient, world: World) -> None:
    answer = await client.get("/v1/bookings/ada", headers=world.student.headers)
    assert problem(answer) == (404, "not-found")


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"slot_id": "ada"}', b'{"slot_id": null, "more": 1}', b"\xff"])
async def test_an_invalid_body_is_refused(client: httpx.AsyncClient, world: World, body: bytes) -> None:
    headers = world.student.headers | {"Idempotency-Key": "k", "Content-Type": "application/json"}
    answer = await client.post("/v1/bookings", content=body, headers=headers)
    assert problem(answer) == ((400, "bad-request") if body == b"\xff" else (422, "request-invalid"))


async def test_an_unknown_member_is_refused_without_repeating_its_value(
    client: httpx.AsyncClient, world: World
) -> None:
    body = {"slot_id": str(uuid4()), "price_minor": "my secret"}
    answer = await client.post("/v1/bookings", json=body, headers=world.student.headers | {"Idempotency-Key": "k"})
    assert problem(answer) == (422, "request-invalid")
    assert [error["where"] for error in answer.json()["errors"]] == ["body/price_minor"]
    assert "my secret" not in answer.text


@pytest.mark.parametrize("announced", [True, False], ids=["with Content-Length", "chunked"])
async def test_a_body_that_is_too_large_is_refused(client: httpx.AsyncClient, world: World, announced: bool) -> None:
    too_large = b" " * (MAX_BODY_BYTES + 1)

    async def chunks():  # type: ignore[no-untyped-def]
        yield too_large[:-1]
        yield too_large[-1:]

    headers = world.student.headers | {"Idempotency-Key": "k", "Content-Type": "application/json"}
    content = too_large if announced else chunks()  # type: ignore[no-untyped-call]
    answer = await client.post("/v1/bookings", content=content, headers=headers)
    assert problem(answer) == (413, "content-too-large")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_an_unhandled_exception_is_a_problem_without_a_traceback(
    app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    @app.get("/broken")
    async def broken() -> PlainTextResponse:
        raise LookupError("the secret is 42")

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client:
        answer = await client.get("/broken", headers={"X-Request-Id": "request-1"})
    assert problem(answer) == (500, "internal")
    assert "42" not in answer.text
    assert answer.headers["x-request-id"] == "request-1"
    assert answer.json()["request_id"] == "request-1"
    assert "request failed" in caplog.text


async def test_every_response_has_a_request_id_and_security_headers(client: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/v1/bookings", "/nothing"):
        answer = await client.get(path)
        assert answer.headers["x-request-id"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize("request_id", ["", "a b", "x" * 65, "<script>"])
async def test_a_request_id_that_is_unsafe_to_log_is_replaced(client: httpx.AsyncClient, request_id: str) -> None:
    answer = await client.get("/healthz", headers={"X-Request-Id": request_id})
    assert answer.headers["x-request-id"] != request_id


def test_every_problem_says_more_than_its_title() -> None:
    """Where one is raised without a sentence of its own, its kind has one that says what to do."""
    raised = [
        (call.args[0].attr, len(call.args) > 1)
        for path in API.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Problem"
        if isinstance(call.args[0], ast.Attribute)
    ]
    assert len(raised) > 50
    assert {name for name, has_detail in raised if not has_detail and not Kind[name].what_to_do} == set()


@pytest.mark.parametrize(("method", "path"), route_table.API)
async def test_a_refused_request_reads_what_to_do(
    method: str, path: str, client: httpx.AsyncClient, world: World
) -> None:
    for headers in ({}, world.student.headers, world.instructor.headers, world.operator.headers):
        answer = await client.request(method, re.sub(r"\{.*?\}", "x", path), headers=headers)
        if answer.status_code >= 400:
            body = answer.json()
            assert body["detail"] != body["title"]
            assert body["detail"][-1] == "."


def test_problem_types_are_unique_and_have_error_statuses() -> None:
    assert len({kind.uri for kind in Kind}) == len(Kind)
    assert all(400 <= kind.status < 600 for kind in Kind)
