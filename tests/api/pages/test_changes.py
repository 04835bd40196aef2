"""Lists follow what happens to the reader's bookings and to what they are paid, on one stream."""

import asyncio
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from api.bookings.event_stream import EventStreams, follow_own
from api.http.auth import Caller
from api.http.notify_listener import NotifyListener, of_person
from models.domain.actors import PLATFORM, Role, Subject
from models.domain.messages import Channel
from models.tables.audit import AuditEvent, event_about
from tests.api.pages.browser import Browser
from tests.api.pages.paid_bookings import paid
from tests.api.world import World, add_instructor


def _happened(subject: Subject, id: UUID) -> AuditEvent:
    return event_about(subject, id, f"{subject}.changed", PLATFORM, Channel.WORKFLOW, datetime.now(UTC))


@pytest.mark.parametrize("path", ["/today", "/earnings", "/onboarding", "/bookings"])
async def test_a_list_has_a_part_that_is_loaded_again(path: str, browser: Browser, world: World) -> None:
    await paid(world, timedelta(days=2))
    browser.become(world.instructor)
    assert 'data-live="/changes"' in (await browser.get(path)).text


async def test_today_is_loaded_again_when_a_meeting_opens(browser: Browser, world: World) -> None:
    await paid(world, timedelta(days=2))
    browser.become(world.instructor)
    assert "data-changes-at=" in (await browser.get("/today")).text


async def test_a_stream_says_so_at_once_and_whenever_it_is_woken_until_the_session_ends(
    browser: Browser, world: World, app: FastAPI
) -> None:
    browser.become(world.instructor)
    answer = await browser.get("/changes")
    assert answer.headers["content-type"].startswith("text/event-stream")
    # Something may have happened since the page was loaded.
    assert answer.text.count("data: ") == 1
    assert "event:" not in answer.text
    streams: EventStreams = app.state.streams
    answers = iter([True, True, False])
    streams.max_duration = timedelta(hours=1)

    async def is_signed_in() -> bool:
        return next(answers)

    changes = follow_own(streams, Caller(Role.INSTRUCTOR, world.instructor.id), is_signed_in)
    async with asyncio.timeout(10):
        await anext(changes)
        # What happens while LISTEN connects is not missed: then the stream is woken.
        await anext(changes)
        await world.add(_happened(Subject.PERSON, world.instructor.id))
        assert [each async for each in changes] == []


@pytest.mark.parametrize(
    ("subject", "concerned"),
    [(Subject.BOOKING, {"student", "instructor"}), (Subject.INSTRUCTOR, {"instructor"}), (Subject.PERSON, set())],
)
async def test_a_change_wakes_those_whose_it_is_and_nobody_else(
    subject: Subject, concerned: set[str], world: World, app: FastAPI, engine: AsyncEngine
) -> None:
    listener: NotifyListener = app.state.streams.listener
    booking_id, last, other = await world.booking(), uuid4(), await add_instructor(engine)
    people = {"student": world.student, "instructor": world.instructor, "other": other}
    with ExitStack() as stack:
        woken = {name: stack.enter_context(listener.subscribe(of_person(each.id))) for name, each in people.items()}
        ended = stack.enter_context(listener.subscribe(last))
        async with asyncio.timeout(10):
            await ended.wait()  # LISTEN wakes all.
            for each in (ended, *woken.values()):
                each.clear()
            await world.add(_happened(subject, booking_id if subject is Subject.BOOKING else world.instructor.id))
            # Notifications arrive in the order of the commits.
            await world.add(_happened(Subject.PERSON, last))
            await ended.wait()
    assert {name for name, each in woken.items() if each.is_set()} == concerned
