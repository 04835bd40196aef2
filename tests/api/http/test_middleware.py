"""Security headers and CORS on every response: of every route, of errors, and of paths without a route."""

import re
from dataclasses import replace

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.responses import PlainTextResponse
from temporalio.client import Client

from api.main import build_app
from tests.api.route_table import API
from tests.api.world import PUBLIC_URL, World, problem, settings

ORIGIN = "https://app.holdfast.example"
OTHER_ORIGIN = "https://elsewhere.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,idempotency-key"}

WITHOUT_ROUTE = [("GET", "/nothing"), ("DELETE", "/v1/bookings"), ("PUT", "/healthz"), ("OPTIONS", "/v1/bookings")]


def assert_security_headers(answer: httpx.Response) -> None:
    assert answer.headers["x-request-id"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] in ("no-store", "no-cache")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert policy.endswith("frame-ancestors 'none'")
    # Only an inline script with the exact hash is allowed.
    assert "script" not in re.sub("script-src 'sha256-[A-Za-z0-9+/]{43}='; ", "", policy)


@pytest.fixture
async def cors_client(database_url: str, task_queue: str, engine: AsyncEngine, temporal: Client) -> httpx.AsyncClient:
    """A client of an API with one configured CORS origin and a route that raises."""
    base = settings(database_url, task_queue)
    http = base.http.model_copy(update={"holdfast_cors_origins": (ORIGIN,)})
    app = build_app(replace(base, http=http), engine, temporal)

    @app.get("/broken")
    async def broken() -> PlainTextResponse:
        raise LookupError

    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL)


@pytest.mark.parametrize(("method", "path"), [*API, *WITHOUT_ROUTE])
async def test_every_response_has_the_security_headers(
    method: str, path: str, client: httpx.AsyncClient, world: World
) -> None:
    ids: dict[str, object] = dict.fromkeys(re.findall(r"\{(.*?)\}", path), "x")
    ids |= {"booking_id": await world.booking(), "instructor_id": world.instructor.id, "offering_id": world.offering_id}
    for headers in ({}, world.student.headers, world.instructor.headers):
        for url in (path.format(**ids), re.sub(r"\{.*?\}", "x", path)):
            assert_security_headers(await client.request(method, url, headers=headers))


async def test_an_event_stream_has_the_security_headers(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await world.booking()
    answer = await client.get(f"/v1/bookings/{booking_id}/events", headers=world.student.headers)
    assert answer.status_code == 200
    assert_security_headers(answer)


async def test_cors_is_off_unless_an_origin_is_configured(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/offerings", headers={"Origin": ORIGIN})
    preflight = await client.options("/v1/bookings", headers={"Origin": ORIGIN} | PREFLIGHT)
    assert problem(preflight) == (405, "method-not-allowed")
    for each in (answer, preflight):
        assert not [name for name in each.headers if name.startswith("access-control")]


async def test_a_configured_origin_may_send_and_read(cors_client: httpx.AsyncClient, world: World) -> None:
    preflight = await cors_client.options("/v1/bookings", headers={"Origin": ORIGIN} | PREFLIGHT)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == ORIGIN
    assert preflight.headers["access-control-allow-methods"] == "DELETE, GET, PATCH, POST, PUT"
    assert {"authorization", "idempotency-key"} <= set(
        preflight.headers["access-control-allow-headers"].lower().split(", ")
    )
    assert "access-control-allow-credentials" not in preflight.headers
    assert_security_headers(preflight)
    answer = await cors_client.get("/v1/bookings", headers={"Origin": ORIGIN} | world.student.headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "origin" in answer.headers["vary"].lower()
    assert {"x-request-id", "retry-after"} <= set(answer.headers["access-control-expose-headers"].lower().split(", "))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/bookings", 401), ("GET", "/nothing", 404), ("GET", "/broken", 500), ("POST", "/v1/auth/token", 422)],
)
async def test_a_configured_origin_may_read_errors(
    cors_client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await cors_client.request(method, path, headers={"Origin": ORIGIN})
    assert problem(answer)[0] == status
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert_security_headers(answer)


@pytest.mark.parametrize("origin", [OTHER_ORIGIN, f"{ORIGIN}.evil.example", "null", ORIGIN.replace("https", "http")])
async def test_any_other_origin_is_refused(cors_client: httpx.AsyncClient, origin: str) -> None:
    preflight = await cors_client.options("/v1/bookings", headers={"Origin": origin} | PREFLIGHT)
    assert preflight.status_code == 400
    answer = await cors_client.get("/v1/offerings", headers={"Origin": origin})
    for each in (preflight, answer):
        assert "access-control-allow-origin" not in each.headers
