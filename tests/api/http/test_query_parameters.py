"""A query parameter that a route does not declare is refused, on every route."""

from datetime import UTC, datetime, timedelta

import httpx

from tests.api.route_table import API, PAGES
from tests.api.world import World, problem

STRICT = [(method, path) for method, path in API if path not in ("/v1/openapi.json", "/docs", "/mcp")]
"""The agents' door has no parameters in its URL; those of its tools are checked by their schemas."""


async def test_an_unknown_query_parameter_is_refused(client: httpx.AsyncClient) -> None:
    for method, path in STRICT:
        answer = await client.request(method, path, params={"limits": "1"})
        assert problem(answer) == (422, "request-invalid"), path
        assert [error["where"] for error in answer.json()["errors"]] == ["query/limits"]


async def test_a_page_for_browsers_ignores_an_unknown_query_parameter(client: httpx.AsyncClient) -> None:
    for (method, path), outcomes in PAGES.items():
        if method == "GET" and "{" not in path and outcomes["nobody"] == "ok":
            assert (await client.get(path, params={"utm_source": "mail"})).status_code == 200


async def test_a_misspelt_limit_withdraws_no_slot(client: httpx.AsyncClient, world: World) -> None:
    slots = [await world.slot(timedelta(days=days)) for days in (1, 2, 3)]
    now = datetime.now(UTC)
    window = {"starts_after": now.isoformat(), "start_before": (now + timedelta(days=1, hours=1)).isoformat()}
    url, headers = f"/v1/offerings/{world.offering_id}/slots", world.instructor.headers
    answer = await client.delete(url, params=window, headers=headers)
    assert problem(answer) == (422, "request-invalid")
    why = "There is no such parameter; there are: starts_after, starts_before."
    assert answer.json()["errors"] == [{"where": "query/start_before", "why": why}]
    assert len((await client.get(url)).json()["data"]) == len(slots)
