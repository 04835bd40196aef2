from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.api.world import JSON, Person, World, add_instructor, audited, problem

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
DAY = timedelta(days=1)
TOMORROW = NOW.date() + DAY


def next_year(month: int, day: int) -> date:
    """A day of next year: always in the future, and within the limit."""
    return date(NOW.year + 1, month, day)


def weekly(**fields: Any) -> JSON:
    """Without the fields that are given as `None`."""
    rule = {"weekday": "monday", "time": "18:30", "from": TOMORROW.isoformat(), "count": 3} | fields
    return {"weekly": {name: value for name, value in rule.items() if value is not None}}


async def add(client: httpx.AsyncClient, world: World, body: JSON, person: Person | None = None) -> httpx.Response:
    headers = (person or world.instructor).headers
    return await client.post(f"/v1/offerings/{world.offering_id}/slots", json=body, headers=headers)


async def listed(client: httpx.AsyncClient, world: World) -> list[JSON]:
    answer = await client.get(f"/v1/offerings/{world.offering_id}/slots", params={"limit": 100})
    data: list[JSON] = answer.json()["data"]
    return data


async def test_a_single_slot_has_the_offerings_duration(client: httpx.AsyncClient, world: World) -> None:
    starts_at = NOW + 3 * DAY
    local = starts_at.astimezone(ZoneInfo("Asia/Tokyo"))
    answer = await add(client, world, {"starts_at": local.isoformat()})
    assert answer.status_code == 201, answer.text
    (slot,) = answer.json()["data"]
    assert slot["starts_at"] == f"{starts_at:%Y-%m-%dT%H:%M:%SZ}"
    assert datetime.fromisoformat(slot["ends_at"]) == starts_at + timedelta(hours=1)
    assert slot["is_free"]
    assert await listed(client, world) == [slot]


async def test_weekly_slots_keep_their_wall_clock_time_across_daylight_saving(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    world = await World.create(engine, time_zone="Europe/Berlin")
    span = {"from": next_year(3, 1).isoformat(), "until": next_year(4, 30).isoformat()}
    answer = await add(client, world, {"weekly": {"weekday": "sunday", "time": "09:00"} | span})
    starts = [datetime.fromisoformat(slot["starts_at"]) for slot in answer.json()["data"]]
    assert len(starts) in (8, 9)
    assert {starts_at.hour for starts_at in starts} == {7, 8}
    for starts_at in starts:
        local = starts_at.astimezone(ZoneInfo("Europe/Berlin"))
        assert (local.weekday(), local.hour, local.minute) == (6, 9, 0)


async def test_a_weekly_series_can_name_another_time_zone(client: httpx.AsyncClient, world: World) -> None:
    answer = await add(client, world, weekly(time_zone="Asia/Tokyo", count=1))
    (slot,) = answer.json()["data"]
    assert slot["starts_at"].endswith("T09:30:00Z")


async def test_slots_that_exist_are_not_added_again(client: httpx.AsyncClient, world: World) -> None:
    first = await add(client, world, weekly(count=3))
    again = await add(client, world, weekly(count=4))
    assert again.status_code == 201
    assert again.json()["data"][:3] == first.json()["data"]
    assert await listed(client, world) == again.json()["data"]
    assert (await add(client, world, weekly(count=4))).status_code == 201
    added = [event.detail["slot_ids"] for event in await audited(world.engine, world.offering_id)]
    assert [len(ids) for ids in added] == [3, 1]
    assert {id for ids in added for id in ids} == {slot["id"] for slot in again.json()["data"]}


async def test_a_time_skipped_by_daylight_saving_is_the_slot_an_hour_later(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    world = await World.create(engine, time_zone="Europe/Berlin")
    last_sunday_of_march = max(
        next_year(3, day) for day in range(25, 32) if next_year(3, day).weekday() == 6
    ).isoformat()
    for clock in ("02:30", "03:30"):
        body = {"weekly": {"weekday": "sunday", "time": clock, "from": last_sunday_of_march, "count": 1}}
        assert (await add(client, world, body)).json()["data"][0]["starts_at"].endswith("T01:30:00Z")
    assert len(await listed(client, world)) == 1


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"starts_at": (NOW - timedelta(minutes=1)).isoformat()}, "in the past"),
        ({"starts_at": "0001-01-01T00:00:00Z"}, "in the past"),
        ({"starts_at": (NOW + 740 * DAY).isoformat()}, "last day"),
        ({"starts_at": "9999-12-31T23:59:00Z"}, "last day"),
        (weekly(**{"from": (NOW.date() - 8 * DAY).isoformat()}), "in the past"),
        (weekly(**{"from": "0001-01-01"}), "in the past"),
        (weekly(**{"from": "0001-01-01", "time": "00:00", "time_zone": "Asia/Tokyo"}), "in the past"),
        (weekly(**{"from": "9999-12-31"}), "last day"),
        (weekly(**{"from": (NOW.date() + 730 * DAY).isoformat()}), "last day"),
        (weekly(count=None, until="9999-12-31"), "At most 100"),
        (weekly(count=None, until=NOW.date().isoformat()), "no such day"),
    ],
)
async def test_slots_that_cannot_all_be_offered_are_refused_as_a_whole(
    client: httpx.AsyncClient, world: World, body: JSON, why: str
) -> None:
    answer = await add(client, world, body)
    assert problem(answer) == (422, "slots-not-possible")
    assert why in answer.json()["detail"]
    assert await listed(client, world) == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"starts_at": (NOW + DAY).isoformat()} | weekly(),
        {"starts_at": "2030-01-01T00:00:00"},
        {"starts_at": 1_900_000_000},
        {"starts_at": (NOW + DAY).isoformat().replace(":00+", ":30+")},
        {"starts_at": (NOW + DAY).isoformat().replace("+", ".000001+")},
        weekly(until=TOMORROW.isoformat()),
        weekly(count=None),
        weekly(count=0),
        weekly(count=101),
        weekly(time="24:00"),
        weekly(time="9:00"),
        weekly(weekday="Monday"),
        weekly(time_zone="Berlin"),
        weekly(time_zone="Factory"),
        weekly(time_zone="../../etc/passwd"),
        weekly(**{"from": 0}),
        weekly(minutes=5),
    ],
)
async def test_an_invalid_request_is_refused(client: httpx.AsyncClient, world: World, body: JSON) -> None:
    assert problem(await add(client, world, body)) == (422, "request-invalid")


async def test_another_instructor_cannot_add_slots(client: httpx.AsyncClient, world: World) -> None:
    body = {"starts_at": (NOW + DAY).isoformat()}
    answer = await add(client, world, body, await add_instructor(world.engine))
    assert problem(answer) == (403, "not-yours")
    unknown = f"/v1/offerings/{world.student.id}/slots"
    assert problem(await client.post(unknown, json=body, headers=world.instructor.headers)) == (404, "not-found")


async def test_a_weekly_series_names_a_time_zone_if_the_account_has_no_valid_one(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    world = await World.create(engine, time_zone="Middle-earth/Shire")
    answer = await add(client, world, weekly())
    assert problem(answer) == (422, "slots-not-possible")
    assert "Send a `time_zone`" in answer.json()["detail"]
    assert (await add(client, world, weekly(time_zone="UTC"))).status_code == 201
