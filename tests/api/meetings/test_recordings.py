"""Links to recordings: who sees them, for how long, and where else they do not appear."""

import json
import logging
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.actors import Role
from models.tables.audit import AuditEvent
from models.tables.recordings import Recording
from tests.api.meetings.provider_events import recorded, report, scheduled, send
from tests.api.world import JSON, Person, World

LINK = "https://recordings.8x8.test/one.mp4?signature=secret"
DAY = timedelta(days=1)


def uploaded(room: str, at: datetime | None = None, link: object = LINK) -> JSON:
    return report("RECORDING_UPLOADED", room, None, at, preAuthenticatedLink=link)


async def links(client: httpx.AsyncClient, person: Person, booking_id: UUID) -> list[JSON]:
    answer = await client.get(f"/v1/bookings/{booking_id}/recordings", headers=person.headers)
    assert answer.status_code == 200, answer.text
    data: list[JSON] = answer.json()["data"]
    return data


async def stored(world: World) -> list[Recording]:
    async with AsyncSession(world.engine) as session:
        return list((await session.exec(select(Recording))).all())


async def test_both_sides_get_the_link_for_as_long_as_the_provider_has_the_recording(
    client: httpx.AsyncClient, world: World
) -> None:
    booking_id, room = await scheduled(world, is_recorded=True)
    later, earlier = datetime.now(UTC).replace(microsecond=0), datetime.now(UTC).replace(microsecond=0) - DAY / 2
    for at, link in ((later, LINK), (earlier, f"{LINK}&part=1")):
        assert (await send(client, uploaded(room, at, link))).status_code == 200
    expected = [(f"{LINK}&part=1", earlier, earlier + DAY), (LINK, later, later + DAY)]
    for person in (world.student, world.instructor):
        found = [
            (each["url"], *map(datetime.fromisoformat, (each["uploaded_at"], each["expires_at"])))
            for each in await links(client, person, booking_id)
        ]
        assert found == expected


async def test_a_recording_that_was_not_agreed_is_not_kept(client: httpx.AsyncClient, world: World) -> None:
    booking_id, room = await scheduled(world, is_recorded=False)
    await send(client, uploaded(room))
    assert await links(client, world.student, booking_id) == []
    assert await stored(world) == []
    assert [event.kind for event in await recorded(world)] == ["recording_uploaded"]


async def test_the_same_report_twice_is_one_recording(client: httpx.AsyncClient, world: World) -> None:
    booking_id, room = await scheduled(world, is_recorded=True)
    event = uploaded(room)
    for _ in range(2):
        assert (await send(client, event)).status_code == 200
    assert len(await links(client, world.student, booking_id)) == 1
    async with AsyncSession(world.engine) as session:
        of_booking = select(AuditEvent).where(col(AuditEvent.booking_id) == booking_id)
        [audited] = (await session.exec(of_booking)).all()
    assert (audited.action, audited.actor_role, audited.channel) == ("booking.recording_kept", Role.PLATFORM, "api")
    assert "secret" not in json.dumps(audited.detail)


@pytest.mark.parametrize(
    "link",
    [None, 7, "", "http://8x8.test/plain", "javascript:alert(1)", "https://8x8.test/a b", f"https://{5_000 * 'x'}"],
)
async def test_a_link_that_cannot_be_one_is_not_kept(client: httpx.AsyncClient, world: World, link: object) -> None:
    booking_id, room = await scheduled(world, is_recorded=True)
    assert (await send(client, uploaded(room, link=link))).status_code == 200
    assert await links(client, world.student, booking_id) == []
    assert len(await recorded(world)) == 1


async def test_an_expired_link_is_not_shown(client: httpx.AsyncClient, world: World) -> None:
    booking_id, room = await scheduled(world, is_recorded=True)
    now = datetime.now(UTC)
    for at in (now - DAY - timedelta(minutes=1), now):
        await send(client, uploaded(room, at))
    assert len(await links(client, world.student, booking_id)) == 1


async def test_the_link_is_nowhere_but_in_its_own_response(
    client: httpx.AsyncClient, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    booking_id, room = await scheduled(world, is_recorded=True)
    with caplog.at_level(logging.DEBUG):
        await send(client, uploaded(room))
        await links(client, world.student, booking_id)
        for person in (world.student, world.instructor, world.operator):
            shown = await client.get(f"/v1/bookings/{booking_id}", headers=person.headers)
            assert "signature=secret" not in shown.text
    assert "signature=secret" not in caplog.text
    assert "signature=secret" not in repr(await stored(world))
