"""Attendance from end to end: a link from the API, the page that it leads to, and what the page reports to the API."""

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
    nobody = await Client.connect(f"127.0.0.1:{free_port()}", data_converter=pydantic_data_converter, lazy=True)
    return build_app(settings(database_url, "none"), engine, nobody)


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
    answer = await client.get(f"/v1/bookings/{booking_id}/join", headers=person.headers)
    assert answer.status_code == 200, answer.text
    url: str = answer.json()["url"]
    return url


async def press(browser: httpx.AsyncClient, page: httpx.Response, button: str) -> httpx.Response:
    """As a person would: the form's hidden field goes with it."""
    assert f'value="{button}"' in page.text
    hidden = re.search(r'name="connection" value="([^"]*)"', page.text)
    assert hidden
    return await browser.post(page.url, data={"action": button, "connection": hidden.group(1)})


async def attendance(client: httpx.AsyncClient, world: World, booking_id: UUID) -> JSON:
    answer = await client.get(f"/v1/bookings/{booking_id}", headers=world.operator.headers)
    found: JSON = answer.json()["attendance"]
    return found


async def test_who_comes_and_goes_on_the_page_is_seen_by_an_operator(
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


async def test_a_session_that_is_not_to_be_recorded_cannot_be(
    client: httpx.AsyncClient, browser: httpx.AsyncClient, world: World
) -> None:
    booking_id, _ = await scheduled(world)
    url = await link(client, world.instructor, booking_id)
    assert (await browser.post(url, data={"action": "record"})).status_code == 403
    assert (await attendance(client, world, booking_id))["recordings_uploaded_at"] == []


def changed(**claims: Any) -> str:
    good: JSON = {
        "aud": MEETINGS.app_id,
        "iss": MEETINGS.app_id,
        "sub": urlsplit(MEETINGS.url).hostname,
        "room": "r",
        # The tests may come long after they were collected.
        "exp": datetime.now(UTC) + timedelta(days=2),
        "context": {"user": {"id": "1", "name": "Ada", "affiliation": "member"}, "features": {"recording": "false"}},
    }
    return jwt.encode(good | claims, MEETINGS.secret, algorithm="HS256")


@pytest.mark.parametrize(
    ("token", "status"),
    [
        (changed(), 200),
        (changed(room="another"), 403),
        (changed(room="*"), 403),
        (changed(aud="another"), 403),
        (changed(iss="another"), 403),
        (changed(sub="meet.elsewhere"), 403),
        (changed(exp=datetime.now(UTC) - timedelta(seconds=1)), 403),
        (changed(nbf=datetime.now(UTC) + timedelta(days=1)), 403),
        (jwt.encode({}, "another secret, which is long enough too", algorithm="HS256"), 403),
        ("", 403),
    ],
)
async def test_the_page_lets_in_whom_a_jitsi_server_would(browser: httpx.AsyncClient, token: str, status: int) -> None:
    answer = await browser.get(f"{MEETINGS.url}r", params={"jwt": token})
    assert answer.status_code == status
    assert not token or token not in answer.text


async def test_a_report_that_is_not_taken_is_told(api: FastAPI, browser: httpx.AsyncClient) -> None:
    api.state.settings.meeting.meeting_webhook_secret = None
    answer = await browser.post(f"{MEETINGS.url}r", params={"jwt": changed()}, data={"action": "join"})
    assert answer.status_code == 502
