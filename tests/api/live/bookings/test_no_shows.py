"""No-shows over HTTP: shown to both parties, contested by one, decided by an operator."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from models.tables.bookings import LiveSession
from tests.api.live.journey import approved, decide, order
from tests.api.meetings.provider_events import report as meeting_report
from tests.api.meetings.provider_events import send as send_report
from tests.api.world import JSON, World, problem

# The Stripe SDK's own use of httpx.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
    pytest.mark.usefixtures("worker"),
]


async def reported(client: httpx.AsyncClient, world: World) -> JSON:
    """A booking whose student is reported absent, as the response shows it."""
    booking_id = await approved(client, world, await world.slot(timedelta(seconds=6), timedelta(seconds=2)))
    shown = (await client.get(f"/v1/bookings/{booking_id}", headers=world.student.headers)).json()
    starts_in = datetime.fromisoformat(shown["starts_at"]) - datetime.now(UTC)
    await asyncio.sleep(max(0.0, starts_in.total_seconds()) + 0.1)
    answer = await decide(client, world.instructor, booking_id, "no-show", {"absent": "student"})
    assert answer.status_code == 200, answer.text
    report: JSON = answer.json()
    return report


async def room_of(world: World, booking_id: str) -> str:
    async with AsyncSession(world.engine) as session:
        return (await session.get_one(LiveSession, UUID(booking_id))).room


async def test_contested_no_show_is_decided_by_the_attendance(client: httpx.AsyncClient, world: World) -> None:
    shown = await reported(client, world)
    booking_id: str = shown["id"]
    assert (shown["status"], shown["no_show"]["absent"], shown["no_show"]["contested_at"]) == (
        "ACCEPTED",
        "student",
        None,
    )
    assert shown["next_deadline_at"] == shown["no_show"]["contest_until"]
    assert problem(await decide(client, world.instructor, booking_id, "no-show/contest")) == (409, "not-possible-now")
    room, starts_at = await room_of(world, booking_id), datetime.fromisoformat(shown["starts_at"])
    for person in (world.student, world.instructor):
        joined = meeting_report("PARTICIPANT_JOINED", room, person, starts_at, participantJid=f"{person.id}@8x8.vc")
        assert (await send_report(client, joined)).status_code == 200
    answer = await decide(client, world.student, booking_id, "no-show/contest")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["end_reason"]) == ("COMPLETED", "no_show_refuted")
    assert answer.json()["payment"]["status"] == "CAPTURED"
    assert answer.json()["no_show"]["verdict"] == "BOTH_CAME"


async def test_unclear_no_show_is_shown_to_an_operator(client: httpx.AsyncClient, world: World) -> None:
    booking_id: str = (await reported(client, world))["id"]
    answer = await decide(client, world.student, booking_id, "no-show/contest")
    assert (answer.status_code, answer.json()["status"]) == (200, "ACCEPTED")
    waiting = await client.get(
        "/v1/operator/bookings", params={"needs_attention": "true"}, headers=world.operator.headers
    )
    [seen] = [each for each in waiting.json()["data"] if each["id"] == booking_id]
    assert "contested" in seen["attention_reason"]
    assert seen["no_show"]["verdict"] == "UNCLEAR"
    assert seen["attendance"]["seconds_together"] == 0
    decided = await order(client, world.operator, booking_id, "release")
    assert decided.json()["end_reason"] == "released_by_operator"


async def test_contest_without_a_report_is_refused(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await approved(client, world)
    assert problem(await decide(client, world.student, booking_id, "no-show/contest")) == (409, "not-possible-now")
