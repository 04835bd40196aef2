import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import jwt
import pytest
from fastapi import FastAPI

from models.domain.states import BookingStatus, SessionStatus
from tests.api.meetings.provider_events import scheduled
from tests.api.world import HOUR, MEETINGS, Person, World, problem

MINUTE = timedelta(minutes=1)
TOLERANCE = MINUTE
"""Longer than a test takes from creating the slot to the request."""


async def join(client: httpx.AsyncClient, person: Person, booking_id: UUID, **headers: str) -> httpx.Response:
    return await client.get(f"/v1/bookings/{booking_id}/join", headers=person.headers | headers)


def claims(url: str) -> dict[str, Any]:
    token = parse_qs(urlsplit(url).query)["jwt"][0]
    return jwt.decode(token, MEETINGS.secret, algorithms=["HS256"], audience=MEETINGS.app_id, issuer=MEETINGS.app_id)


async def test_each_party_gets_a_personal_token(client: httpx.AsyncClient, world: World) -> None:
    booking_id, room = await scheduled(world, is_recorded=True)
    users = {}
    for person in (world.student, world.instructor):
        answer = await join(client, person, booking_id)
        assert answer.status_code == 200, answer.text
        shown = answer.json()
        assert shown["room"] == room
        assert shown["is_recorded"] is True
        found = claims(shown["url"])
        assert found["room"] == room
        assert found["context"]["user"]["id"] == str(person.id)
        assert datetime.fromisoformat(shown["expires_at"]).timestamp() // 1 == found["exp"]
        user = found["context"]["user"]
        users[person.role] = (user["name"], user["affiliation"], found["context"]["features"]["recording"])
    assert users == {"student": ("Ada", "member", "false"), "instructor": ("Nadia", "owner", "true")}


@pytest.mark.parametrize(("starts_in", "minutes"), [(timedelta(0), 15), (-80 * MINUTE, 10)])
async def test_a_link_lasts_a_few_minutes_and_not_past_the_meeting(
    client: httpx.AsyncClient, world: World, starts_in: timedelta, minutes: int
) -> None:
    booking_id, _ = await scheduled(world, starts_in, HOUR)
    found = claims((await join(client, world.student, booking_id)).json()["url"])
    now = datetime.now(UTC).timestamp()
    assert abs(found["exp"] - (now + minutes * 60)) < TOLERANCE.seconds
    assert found["nbf"] <= now - 30


@pytest.mark.parametrize(
    ("starts_in", "is_open"),
    [
        (15 * MINUTE + TOLERANCE, False),
        (15 * MINUTE - TOLERANCE, True),
        (timedelta(0), True),
        (-HOUR - 30 * MINUTE + TOLERANCE, True),
        (-HOUR - 30 * MINUTE, False),
    ],
)
async def test_the_meeting_opens_before_the_start_and_closes_after_the_end(
    client: httpx.AsyncClient, world: World, starts_in: timedelta, is_open: bool
) -> None:
    booking_id, _ = await scheduled(world, starts_in, HOUR)
    answer = await join(client, world.student, booking_id)
    if is_open:
        assert answer.status_code == 200
    else:
        assert problem(answer) == (409, "meeting-not-open")


async def test_an_early_request_is_refused_with_the_opening_time(client: httpx.AsyncClient, world: World) -> None:
    booking_id, _ = await scheduled(world, timedelta(hours=5), HOUR)
    refused = (await join(client, world.student, booking_id)).json()
    shown = (await client.get(f"/v1/bookings/{booking_id}", headers=world.student.headers)).json()
    starts_at, ends_at = (
        datetime.fromisoformat(shown[name]).replace(microsecond=0) for name in ("starts_at", "ends_at")
    )
    assert datetime.fromisoformat(refused["opens_at"]) == starts_at - 15 * MINUTE
    assert datetime.fromisoformat(refused["closes_at"]) == ends_at + 30 * MINUTE
    assert refused["opens_at"] in refused["detail"]


async def test_the_opening_time_is_a_setting(client: httpx.AsyncClient, world: World, app: FastAPI) -> None:
    app.state.settings.meeting.meeting_opens_before = timedelta(hours=6)
    booking_id, _ = await scheduled(world, timedelta(hours=5), HOUR)
    assert (await join(client, world.student, booking_id)).status_code == 200


async def test_a_booking_that_is_not_approved_cannot_be_joined(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await world.booking(await world.slot(timedelta(0)))
    answer = await join(client, world.student, booking_id)
    assert problem(answer) == (409, "not-possible-now")
    assert answer.json()["booking_status"] == "PENDING"


@pytest.mark.parametrize("status", [SessionStatus.COMPLETED, SessionStatus.NO_SHOW, SessionStatus.CANCELLED])
async def test_a_session_that_is_over_cannot_be_joined(
    client: httpx.AsyncClient, world: World, status: SessionStatus
) -> None:
    booking_id, _ = await scheduled(world, session_status=status, status=BookingStatus(status.value))
    answer = await join(client, world.student, booking_id)
    assert problem(answer) == (409, "booking-closed")
    assert answer.json()["booking_status"] == status


async def test_a_browser_is_redirected_to_the_meeting(client: httpx.AsyncClient, world: World) -> None:
    booking_id, room = await scheduled(world)
    answer = await join(client, world.student, booking_id, Accept="text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
    assert answer.status_code == 303
    assert claims(answer.headers["location"])["room"] == room


async def test_without_a_meeting_provider_there_is_no_link(
    client: httpx.AsyncClient, world: World, app: FastAPI
) -> None:
    app.state.settings = replace(app.state.settings, meetings=None)
    booking_id, _ = await scheduled(world)
    assert problem(await join(client, world.student, booking_id)) == (404, "meetings-not-set-up")


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
async def test_a_token_is_neither_cached_nor_logged_nor_sent_as_referrer(
    client: httpx.AsyncClient, world: World, caplog: pytest.LogCaptureFixture, accept: str
) -> None:
    booking_id, _ = await scheduled(world)
    with caplog.at_level(logging.DEBUG):
        answer = await join(client, world.student, booking_id, Accept=accept)
    url = answer.headers.get("location") or answer.json()["url"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert parse_qs(urlsplit(url).query)["jwt"][0] not in caplog.text
