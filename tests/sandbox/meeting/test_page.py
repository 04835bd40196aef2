"""Attendance end to end: the API's join link, the meeting page, and the page's reports to the API."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import jwt
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from api.main import build_app
from models.db import build_engine
from sandbox.meeting.app import create_app
from sandbox.stack.ports import free_port
from tests.api.meetings.provider_events import PATH, scheduled
from tests.api.world import JSON, MEETING_WEBHOOK_KEY, MEETINGS, PUBLIC_URL, Person, World, settings


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = build_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def world(engine: AsyncEngine) -> World:
    return await World.create(engine)


@pytest.fixture
async def api(database_url: str, engine: AsyncEngine) -> FastAPI:
    unreachable = await Client.connect(f"127.0.0.1:{free_port()}", data_converter=pydantic_data_converter, lazy=True)
    return build_app(settings(database_url, "none"), engine, unreachable)


@pytest.fixture
async def client(api: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url=PUBLIC_URL) as client:
        yield client


@pytest.fixture
async def browser(api: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api)) as reports:
        page = create_app(MEETINGS.app_id, MEETINGS.secret, PUBLIC_URL + PATH, MEETING_WEBHOOK_KEY, reports)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(page)) as browser:
            yield browser


async def link(client: httpx.AsyncClient, person: Person, booking_id: UUID) -> str:
    response = await client.get(f"/v1/bookings/{booking_id}/join", headers=person.headers)
    assert response.status_code == 200, response.text
    url: str = response.json()["url"]
    return url


async def press(browser: httpx.AsyncClient, page: httpx.Response, button: str) -> httpx.Response:
    """Submit the page's form, including its hidden field, with this button."""
    assert f'value="{button}"' in page.text
    hidden = re.search(r'name="connection" value="([^"]*)"', page.text)
    assert hidden
    return await browser.post(page.url, data={"action": button, "connection": hidden.group(1)})


async def attendance(client: httpx.AsyncClient, world: World, booking_id: UUID) -> JSON:
    response = await client.get(f"/v1/bookings/{booking_id}", headers=world.operator.headers)
    found: JSON = response.json()["attendance"]
    return found


async def test_attendance_on_the_page_is_visible_to_operators(
    client: httpx.AsyncClient, browser: httpx.AsyncClient, world: World
) -> None:
    booking_id, _ = await scheduled(world, -timedelta(minutes=1), is_recorded=True)
    pages = {}
    for person, shown in ((world.student, "Ada, participant"), (world.instructor, "Nadia, moderator")):
        entrance = await browser.get(await link(client, person, booking_id))
        assert entrance.status_code == 200
        assert shown in entrance.text
        pages[person.role] = await press(browser, entrance, "join")
        assert pages[person.role].status_code == 200
    assert 'value="record"' not in pages[world.student.role].text
    assert (await press(browser, pages[world.instructor.role], "record")).status_code == 200
    assert 'value="join"' in (await press(browser, pages[world.student.role], "leave")).text

    found = await attendance(client, world, booking_id)
    (student,), (instructor,) = found["student"]["visits"], found["instructor"]["visits"]
    assert student["joined_at"] <= student["left_at"]
    assert instructor["left_at"] is None
    assert len(found["recordings_uploaded_at"]) == 1
    for person in (world.student, world.instructor):
        listed = await client.get(f"/v1/bookings/{booking_id}/recordings", headers=person.headers)
        assert [each["url"][:8] for each in listed.json()["data"]] == ["https://"]


async def test_session_without_recording_rejects_one(
    client: httpx.AsyncClient, browser: httpx.AsyncClient, world: World
) -> None:
    booking_id, _ = await scheduled(world)
    url = await link(client, world.instructor, booking_id)
    assert (await browser.post(url, data={"action": "record"})).status_code == 403
    assert (await attendance(client, world, booking_id))["recordings_uploaded_at"] == []


def token_with(**claims: Any) -> str:
    valid: JSON = {
        "aud": MEETINGS.app_id,
        "iss": MEETINGS.app_id,
        "sub": urlsplit(MEETINGS.url).hostname,
        "room": "r",
        # The test may run long after its collection.
        "exp": datetime.now(UTC) + timedelta(days=2),
        "context": {"user": {"id": "1", "name": "Ada", "affiliation": "member"}, "features": {"recording": "false"}},
    }
    return jwt.encode(valid | claims, MEETINGS.secret, algorithm="HS256")


@pytest.mark.parametrize(
    ("token", "status"),
    [
        pytest.param(token_with(), 200, id="valid"),
        pytest.param(token_with(room="another"), 403, id="other room"),
        pytest.param(token_with(room="*"), 403, id="any room"),
        pytest.param(token_with(aud="another"), 403, id="other audience"),
        pytest.param(token_with(iss="another"), 403, id="other issuer"),
        pytest.param(token_with(sub="meet.elsewhere"), 403, id="other server"),
        pytest.param(token_with(exp=datetime.now(UTC) - timedelta(seconds=1)), 403, id="expired"),
        pytest.param(token_with(nbf=datetime.now(UTC) + timedelta(days=1)), 403, id="not valid yet"),
        pytest.param(jwt.encode({}, "another secret that is long enough", algorithm="HS256"), 403, id="other key"),
        pytest.param("", 403, id="no token"),
    ],
)
async def test_page_verifies_the_token_as_jitsi_does(browser: httpx.AsyncClient, token: str, status: int) -> None:
    response = await browser.get(f"{MEETINGS.url}r", params={"jwt": token})
    assert response.status_code == status
    assert not token or token not in response.text


async def test_page_shows_when_a_report_is_rejected(api: FastAPI, browser: httpx.AsyncClient) -> None:
    api.state.settings.meeting.meeting_webhook_secret = None
    response = await browser.post(f"{MEETINGS.url}r", params={"jwt": token_with()}, data={"action": "join"})
    assert response.status_code == 502
