"""Times and dates in requests: RFC 3339 only, up to the limits of the calendar."""

import httpx
import pytest

from tests.api.world import World, problem

EARLIEST, LATEST = "0001-01-01", "9999-12-31"


@pytest.mark.parametrize("time", ["0.5", "1772472600", "2026-03-02", "2026-03-02T17:30:00", "2026-03-02 17:30:00Z"])
async def test_a_time_that_is_not_rfc_3339_is_refused(time: str, client: httpx.AsyncClient, world: World) -> None:
    for path in ("/v1/offerings", f"/v1/offerings/{world.offering_id}/slots"):
        assert problem(await client.get(path, params={"starts_after": time})) == (422, "request-invalid")
    slots = f"/v1/offerings/{world.offering_id}/slots"
    added = await client.post(slots, json={"starts_at": time}, headers=world.instructor.headers)
    assert problem(added) == (422, "request-invalid")


@pytest.mark.parametrize("date", ["1772472600", "2026-3-2", "2026-03-02T00:00:00"])
async def test_a_date_that_is_not_rfc_3339_is_refused(date: str, client: httpx.AsyncClient, world: World) -> None:
    answer = await client.get("/v1/metrics/business", params={"since": date}, headers=world.operator.headers)
    assert problem(answer) == (422, "request-invalid")


@pytest.mark.parametrize("offset", ["Z", "+23:59", "-23:59"])
@pytest.mark.parametrize("date", [EARLIEST, LATEST])
async def test_a_time_at_the_limits_of_the_calendar_is_handled(
    date: str, offset: str, client: httpx.AsyncClient, world: World
) -> None:
    params = {"starts_after": f"{date}T23:59:59{offset}", "starts_before": f"{date}T00:00:00{offset}"}
    for path in ("/v1/offerings", f"/v1/offerings/{world.offering_id}/slots"):
        for name, value in params.items():
            answer = await client.get(path, params={name: value})
            assert answer.status_code in (200, 422), answer.text


@pytest.mark.parametrize(
    "params",
    [
        {"since": LATEST},
        {"until": EARLIEST},
        {"since": EARLIEST, "until": "0001-01-02"},
        {"since": "9999-12-30", "until": LATEST},
    ],
)
async def test_a_period_at_the_limits_of_the_calendar_is_handled(
    params: dict[str, str], client: httpx.AsyncClient, world: World
) -> None:
    for interval in ("day", "week", "month"):
        query = params | {"interval": interval}
        answer = await client.get("/v1/metrics/business", params=query, headers=world.operator.headers)
        assert answer.status_code in (200, 422), answer.text
