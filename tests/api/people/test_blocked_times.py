"""What an instructor's own calendar blocks is neither free nor booked."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from models.tables.blocked_times import BlockedTime, InstructorCalendar
from tests.api.world import World, problem

ADDRESS = "https://calendar.example/secret.ics"
PATH = "/v1/instructors/me/calendar"
HOUR = timedelta(hours=1)


async def test_address_is_stored_read_soon_and_not_returned(client: httpx.AsyncClient, world: World) -> None:
    headers = world.instructor.headers
    assert problem(await client.get(PATH, headers=headers)) == (404, "not-found")
    answer = await client.put(PATH, json={"url": "webcal://calendar.example/secret.ics"}, headers=headers)
    assert answer.json() == {"host": "calendar.example", "read_at": None, "problem": None}
    assert (await client.get(PATH, headers=headers)).json() == answer.json()
    async with AsyncSession(world.engine) as session:
        row = await session.get_one(InstructorCalendar, world.instructor.id)
    assert row.url == ADDRESS
    assert row.read_next_at <= datetime.now(UTC)


@pytest.mark.parametrize(
    "url", ["calendar.example", "ftp://calendar.example/", "https://me:pw@calendar.example/", "https://x:port/", ""]
)
async def test_what_is_no_address_of_a_calendar_is_refused(client: httpx.AsyncClient, world: World, url: str) -> None:
    answer = await client.put(PATH, json={"url": url}, headers=world.instructor.headers)
    assert problem(answer) == (422, "request-invalid")


async def _block(world: World, starts_at: datetime, ends_at: datetime) -> None:
    async with AsyncSession(world.engine) as session, session.begin():
        session.add(BlockedTime(instructor_id=world.instructor.id, starts_at=starts_at, ends_at=ends_at))


@pytest.mark.parametrize(
    ("starts_after", "ends_after", "free"),
    [
        pytest.param(-HOUR, timedelta(0), True, id="until its start"),
        pytest.param(HOUR, 2 * HOUR, True, id="from its end"),
        pytest.param(-HOUR, HOUR / 60, False, id="over its start"),
        pytest.param(HOUR / 3, HOUR / 2, False, id="within it"),
        pytest.param(-HOUR, 2 * HOUR, False, id="around it"),
    ],
)
async def test_slot_that_overlaps_a_blocked_time_is_not_free(
    client: httpx.AsyncClient, world: World, starts_after: timedelta, ends_after: timedelta, free: bool
) -> None:
    slot_id = await world.slot(timedelta(days=3))
    path = f"/v1/offerings/{world.offering_id}/slots"
    (slot,) = (await client.get(path)).json()["data"]
    starts_at = datetime.fromisoformat(slot["starts_at"])
    await client.put(PATH, json={"url": ADDRESS}, headers=world.instructor.headers)
    # Of another day, so that the first blocked time after the slot's start is looked for, and not any.
    await _block(world, starts_at - timedelta(days=2), starts_at - timedelta(days=1))
    await _block(world, starts_at + starts_after, starts_at + ends_after)
    await _block(world, starts_at + timedelta(days=1), starts_at + timedelta(days=2))
    assert [each["id"] for each in (await client.get(path)).json()["data"]] == ([str(slot_id)] if free else [])
    if not free:
        answer = await client.post(
            "/v1/bookings", json={"slot_id": str(slot_id)}, headers=world.student.headers | {"Idempotency-Key": "one"}
        )
        assert problem(answer) == (409, "slot-taken")
    await client.delete(PATH, headers=world.instructor.headers)
    assert len((await client.get(path)).json()["data"]) == 1


async def test_another_address_frees_what_the_last_one_blocked(client: httpx.AsyncClient, world: World) -> None:
    await world.slot(timedelta(days=3))
    headers, path = world.instructor.headers, f"/v1/offerings/{world.offering_id}/slots"
    await client.put(PATH, json={"url": ADDRESS}, headers=headers)
    now = datetime.now(UTC)
    await _block(world, now, now + timedelta(days=9))
    await client.put(PATH, json={"url": ADDRESS}, headers=headers)
    assert (await client.get(path)).json()["data"] == []
    await client.put(PATH, json={"url": "https://calendar.example/other.ics"}, headers=headers)
    assert len((await client.get(path)).json()["data"]) == 1


async def test_closing_the_account_deletes_the_address(client: httpx.AsyncClient, world: World) -> None:
    await client.put(PATH, json={"url": ADDRESS}, headers=world.instructor.headers)
    (await client.post("/v1/me/close", headers=world.instructor.headers)).raise_for_status()
    async with AsyncSession(world.engine) as session:
        assert await session.get(InstructorCalendar, world.instructor.id) is None
