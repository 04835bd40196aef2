"""The event stream of a booking, with real NOTIFY. A stream ends once its booking is closed or deleted."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.types import Message

from api.bookings.event_stream import EventStreams
from api.http.notify_listener import NotifyListener
from api.people.passwords import AsyncPasswordHasher
from models.domain.actors import Role
from models.domain.endings import EndReason
from models.domain.messages import Channel
from models.domain.states import BookingStatus
from models.tables.audit import AuditEvent
from models.tables.bookings import BookingRequest
from tests.api.people.sign_in import PASSWORD, CountingHasher, sign_in, sign_up
from tests.api.sql_statements import noted
from tests.api.world import HOUR, JSON, Person, World, add_student, problem

TIMEOUT_SECONDS = 20
FOLLOWERS = 5
MAX_PER_PERSON = 10


@pytest.fixture
def long_streams(app: FastAPI, engine: AsyncEngine) -> None:
    """Streams that read again only after a NOTIFY, never by polling."""
    app.state.streams = EventStreams(NotifyListener(engine.url), max_duration=HOUR, poll_interval=HOUR)


def audit_event(booking_id: UUID, action: str, **detail: Any) -> AuditEvent:
    return AuditEvent(
        id=uuid4(),
        booking_id=booking_id,
        action=f"booking.{action}",
        actor_role=Role.PLATFORM,
        channel=Channel.WORKFLOW,
        detail=detail,
        at=datetime.now(UTC),
    )


async def follow(
    client: httpx.AsyncClient, person: Person, booking_id: UUID, last_event_id: str | None = None
) -> httpx.Response:
    headers = person.headers | ({"Last-Event-ID": last_event_id} if last_event_id else {})
    return await client.get(f"/v1/bookings/{booking_id}/events", headers=headers)


def received(answer: httpx.Response) -> list[JSON]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = []
    for block in answer.text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            events.append({"id": lines["id"], "event": lines["event"], **json.loads(lines["data"])})
    return events


def names(answer: httpx.Response) -> list[str]:
    return [event["event"].removeprefix("booking.") for event in received(answer)]


async def listeners(engine: AsyncEngine) -> int:
    query = """SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"""
    async with engine.connect() as connection:
        return int((await connection.execute(text(query))).scalar_one())


async def until_listening(engine: AsyncEngine, connections: int = 1) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            if await listeners(engine) == connections:
                return
            await asyncio.sleep(0.02)


@pytest.fixture
def closing(engine: AsyncEngine) -> Callable[[UUID], Awaitable[None]]:
    async def close(booking_id: UUID) -> None:
        # As the workflow's activities do, in one transaction: a stream ends once it has found the booking closed.
        async with AsyncSession(engine) as session, session.begin():
            booking = await session.get_one(BookingRequest, booking_id)
            booking.status, booking.next_deadline_at = BookingStatus.CANCELLED, None
            session.add(audit_event(booking_id, "cancelled"))

    return close


async def test_past_events_are_sent_with_the_current_booking(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await world.booking()
    for action in ("reserved", "checkout_opened", "authorized"):
        await world.add(audit_event(booking_id, action))
    events = received(await follow(client, world.student, booking_id))
    assert [event["type"] for event in events] == [
        "booking.reserved",
        "booking.checkout_opened",
        "booking.authorized",
    ]
    shown = (await client.get(f"/v1/bookings/{booking_id}", headers=world.student.headers)).json()
    assert events[-1]["booking"] == shown
    assert [int(event["id"]) for event in events] == sorted(int(event["id"]) for event in events)


async def test_a_stream_resumes_after_the_last_event_id(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await world.booking()
    for action in ("reserved", "checkout_opened", "authorized"):
        await world.add(audit_event(booking_id, action))
    first = received(await follow(client, world.student, booking_id))
    assert names(await follow(client, world.student, booking_id, first[0]["id"])) == ["checkout_opened", "authorized"]
    assert names(await follow(client, world.student, booking_id, first[-1]["id"])) == []


@pytest.mark.usefixtures("long_streams")
async def test_all_followers_share_one_connection_until_the_booking_is_closed(
    client: httpx.AsyncClient, world: World, engine: AsyncEngine, closing: Callable[[UUID], Awaitable[None]]
) -> None:
    booking_id = await world.booking()
    await world.add(audit_event(booking_id, "reserved"))
    followers = [asyncio.create_task(follow(client, world.student, booking_id)) for _ in range(FOLLOWERS)]
    followers.append(asyncio.create_task(follow(client, world.instructor, booking_id)))
    await until_listening(engine)
    await world.add(audit_event(booking_id, "authorized"))
    assert await listeners(engine) == 1
    await closing(booking_id)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        answers = await asyncio.gather(*followers)
    for answer in answers:
        assert names(answer) == ["reserved", "authorized", "cancelled"]
        assert received(answer)[-1]["booking"]["status"] == "CANCELLED"
    await until_listening(engine, connections=0)


@pytest.mark.usefixtures("long_streams")
async def test_a_stream_survives_a_lost_database_connection(
    client: httpx.AsyncClient, world: World, engine: AsyncEngine, closing: Callable[[UUID], Awaitable[None]]
) -> None:
    booking_id = await world.booking()
    following = asyncio.create_task(follow(client, world.student, booking_id))
    await until_listening(engine)
    async with engine.connect() as connection:
        await connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        )
    await closing(booking_id)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        assert names(await following) == ["cancelled"]


@pytest.mark.usefixtures("long_streams")
async def test_a_stream_ends_when_the_client_disconnects(app: FastAPI, world: World, engine: AsyncEngine) -> None:
    booking_id = await world.booking()
    disconnected = asyncio.Event()
    messages = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Message:
        for message in messages:
            return message
        await disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        pass

    path = f"/v1/bookings/{booking_id}/events"
    headers = [(name.lower().encode(), value.encode()) for name, value in world.student.headers.items()]
    scope: JSON = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
    }
    scope |= {"scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"", "headers": headers}
    following = asyncio.create_task(app(scope, receive, send))
    await until_listening(engine)
    disconnected.set()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await following
    await until_listening(engine, connections=0)


@pytest.mark.usefixtures("long_streams")
async def test_deletion_is_the_last_event(client: httpx.AsyncClient, world: World, engine: AsyncEngine) -> None:
    booking_id = await world.booking()
    following = asyncio.create_task(follow(client, world.student, booking_id))
    await until_listening(engine)
    detail = {"reason": EndReason.CHECKOUT_EXPIRED, "student_id": str(world.student.id), "slot_id": str(uuid4())}
    async with AsyncSession(engine) as session, session.begin():
        await session.delete(await session.get_one(BookingRequest, booking_id))
        session.add(audit_event(booking_id, "deleted", **detail))
    async with asyncio.timeout(TIMEOUT_SECONDS):
        events = received(await following)
    assert [(event["event"], event["booking"]) for event in events] == [("booking.deleted", None)]
    assert problem(await follow(client, world.student, booking_id)) == (410, "booking-deleted")


@pytest.mark.usefixtures("long_streams")
@pytest.mark.parametrize("ending", ["sign-out", "new password", "suspension"])
async def test_a_stream_ends_with_its_token(
    client: httpx.AsyncClient,
    world: World,
    engine: AsyncEngine,
    app: FastAPI,
    closing: Callable[[UUID], Awaitable[None]],
    ending: str,
) -> None:
    app.state.password_hasher = AsyncPasswordHasher(CountingHasher())
    id = UUID((await sign_up(client)).json()["id"])
    token = (await sign_in(client)).json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    booking_id = await world.booking(student=Person(Role.STUDENT, id))
    following = asyncio.create_task(client.get(f"/v1/bookings/{booking_id}/events", headers=headers))
    staying = asyncio.create_task(follow(client, world.instructor, booking_id))
    await until_listening(engine)
    if ending == "sign-out":
        answer = await client.post("/v1/auth/signout", headers=headers)
    elif ending == "suspension":
        answer = await client.post(f"/v1/operator/people/{id}/suspend", headers=world.operator.headers)
    else:
        change = {"current_password": PASSWORD, "new_password": "seven kites over the lighthouse"}
        answer = await client.post("/v1/auth/password/change", json=change, headers=headers)
    assert answer.is_success
    async with asyncio.timeout(TIMEOUT_SECONDS):
        assert names(await following) == []
    await closing(booking_id)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        assert names(await staying) == ["cancelled"]


async def test_a_closed_booking_answers_204_after_its_last_event(
    client: httpx.AsyncClient, world: World, closing: Callable[[UUID], Awaitable[None]]
) -> None:
    booking_id = await world.booking()
    await closing(booking_id)
    events = received(await follow(client, world.student, booking_id))
    assert [event["event"] for event in events] == ["booking.cancelled"]
    again = await follow(client, world.student, booking_id, events[-1]["id"])
    assert (again.status_code, again.content) == (204, b"")


async def test_only_an_operator_receives_needs_attention(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await world.booking()
    await world.add(audit_event(booking_id, "needs_attention", reason="settle: declined"))
    assert names(await follow(client, world.student, booking_id)) == []
    assert names(await follow(client, world.operator, booking_id)) == ["needs_attention"]


async def test_a_student_does_not_receive_a_rejection_reason_before_the_rejection(
    client: httpx.AsyncClient, world: World
) -> None:
    booking_id = await world.booking()
    answer = await client.post(
        f"/v1/bookings/{booking_id}/reject", json={"reason": "I am away."}, headers=world.instructor.headers
    )
    assert problem(answer) == (503, "unavailable")
    assert names(await follow(client, world.student, booking_id)) == []
    assert names(await follow(client, world.operator, booking_id)) == ["rejection_reason_kept"]


async def test_a_stranger_cannot_follow_a_booking(client: httpx.AsyncClient, world: World) -> None:
    answer = await follow(client, await add_student(world.engine), await world.booking())
    assert problem(answer) == (404, "not-found")


@pytest.mark.parametrize("last", ["-1", "first", str(2**63)])
async def test_an_invalid_event_id_is_refused(client: httpx.AsyncClient, world: World, last: str) -> None:
    answer = await follow(client, world.student, await world.booking(), last)
    assert problem(answer) == (422, "request-invalid")


@pytest.mark.usefixtures("long_streams")
async def test_streams_of_an_audience_share_one_read_of_a_change(
    client: httpx.AsyncClient, world: World, engine: AsyncEngine, closing: Callable[[UUID], Awaitable[None]]
) -> None:
    booking_id = await world.booking()
    await world.add(audit_event(booking_id, "reserved"))
    audiences = [world.student] * MAX_PER_PERSON + [world.instructor] * MAX_PER_PERSON
    followers = [asyncio.create_task(follow(client, person, booking_id)) for person in audiences]
    await until_listening(engine)
    await asyncio.sleep(0.5)
    with noted(engine) as statements:
        await closing(booking_id)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            answers = await asyncio.gather(*followers)
    assert {tuple(names(answer)) for answer in answers} == {("reserved", "cancelled")}
    # For each audience the change, and once more to be sure that it was the last; NOTIFY comes for each of the commits.
    reads = [sql for sql, _ in statements if sql.startswith("SELECT") and "FROM audit_event" in sql]
    assert 2 <= len(reads) <= 2 * 4


async def test_student_and_instructor_receive_what_each_may_see(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await world.booking()
    await world.add(audit_event(booking_id, "reserved"))
    people = [world.student, world.instructor, world.operator] * 2
    answers = await asyncio.gather(*(follow(client, person, booking_id) for person in people))
    for person, answer in zip(people, answers, strict=True):
        shown = await client.get(f"/v1/bookings/{booking_id}", headers=person.headers)
        assert received(answer)[-1]["booking"] == shown.json()


@pytest.mark.usefixtures("long_streams")
async def test_a_person_has_a_bounded_number_of_streams(
    client: httpx.AsyncClient, world: World, engine: AsyncEngine, closing: Callable[[UUID], Awaitable[None]]
) -> None:
    booking_id = await world.booking()
    open_ = [asyncio.create_task(follow(client, world.student, booking_id)) for _ in range(MAX_PER_PERSON)]
    await until_listening(engine)
    await asyncio.sleep(0.5)
    refused = await follow(client, world.student, booking_id)
    assert problem(refused) == (429, "rate-limited")
    assert refused.json()["quota"] == "streams"
    assert int(refused.headers["retry-after"]) > 0
    others = asyncio.create_task(follow(client, world.instructor, booking_id))
    await asyncio.sleep(0.1)
    await closing(booking_id)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        answers = await asyncio.gather(*open_, others)
    assert {answer.status_code for answer in answers} == {200}
    assert (await follow(client, world.student, booking_id)).status_code == 200


async def test_a_process_has_a_bounded_number_of_streams(
    app: FastAPI,
    client: httpx.AsyncClient,
    world: World,
    engine: AsyncEngine,
    closing: Callable[[UUID], Awaitable[None]],
) -> None:
    app.state.streams = EventStreams(NotifyListener(engine.url), poll_interval=HOUR, max_in_process=1)
    booking_id = await world.booking()
    following = asyncio.create_task(follow(client, world.student, booking_id))
    await until_listening(engine)
    refused = await follow(client, world.instructor, booking_id)
    assert problem(refused) == (503, "busy")
    assert int(refused.headers["retry-after"]) > 0
    await closing(booking_id)
    async with asyncio.timeout(TIMEOUT_SECONDS):
        assert names(await following) == ["cancelled"]
    assert (await follow(client, world.instructor, booking_id)).status_code == 200


async def test_a_refused_stream_does_not_count(client: httpx.AsyncClient, world: World) -> None:
    stranger, booking_id = await add_student(world.engine), await world.booking()
    for _ in range(MAX_PER_PERSON + 1):
        assert problem(await follow(client, stranger, booking_id)) == (404, "not-found")


def test_a_stream_lasts_at_most_an_hour(engine: AsyncEngine) -> None:
    assert EventStreams(NotifyListener(engine.url)).max_duration <= timedelta(hours=1)
