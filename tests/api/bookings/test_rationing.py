"""Bookings that are refused because of what a student holds already, or because it is not what they were shown.

Temporal is down here, so a 503 means: not refused.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client

from api.main import build_app
from models.domain.actors import PLATFORM
from models.domain.endings import EndReason
from models.domain.messages import Channel
from models.domain.states import BookingStatus
from models.rationing import standing
from models.settings import PolicySettings
from models.tables.audit import AuditEvent
from tests.api.sql_statements import noted, plan
from tests.api.world import HOUR, JSON, PRICE, PUBLIC_URL, Person, World, problem, settings

REACHED = (503, "unavailable")
NO_LIMITS: JSON = {
    "max_unpaid": 0,
    "max_unpaid_per_instructor": 0,
    "lapsed_slot_wait": timedelta(0),
    "max_lapses": 0,
    "max_declined_cards": 0,
}


async def book(client: httpx.AsyncClient, student: Person, slot_id: UUID, **more: Any) -> httpx.Response:
    headers = student.headers | {"Idempotency-Key": str(uuid4())}
    return await client.post("/v1/bookings", json={"slot_id": str(slot_id)} | more, headers=headers)


async def unpaid(world: World, student: Person, pay_in: timedelta = HOUR) -> UUID:
    """An unpaid booking of the student with another instructor."""
    other = await World.create(world.engine, stripe_account_id=None)
    slot_id = await other.slot(timedelta(days=3))
    return await other.booking(slot_id, student, next_deadline_at=datetime.now(UTC) + pay_in)


async def lapse(world: World, slot_id: UUID, ago: timedelta = timedelta(0)) -> None:
    event = AuditEvent(
        booking_id=uuid4(),
        action="booking.deleted",
        actor_role=PLATFORM.role,
        channel=Channel.WORKFLOW,
        detail={
            "reason": EndReason.CHECKOUT_EXPIRED,
            "decline_code": None,
            "student_id": str(world.student.id),
            "slot_id": str(slot_id),
        },
        at=datetime.now(UTC) - ago,
    )
    await world.add(event)


def bookable_in(answer: httpx.Response) -> timedelta:
    until = datetime.fromisoformat(answer.json()["bookable_from"])
    assert answer.json()["bookable_from"] in answer.json()["detail"]
    return until - datetime.now(UTC)


async def test_three_unpaid_bookings_are_the_most(client: httpx.AsyncClient, world: World) -> None:
    for minutes in (20, 30):
        await unpaid(world, world.student, timedelta(minutes=minutes))
    slot_id = await world.slot()
    assert problem(await book(client, world.student, slot_id)) == REACHED
    await unpaid(world, world.student, timedelta(minutes=10))
    answer = await book(client, world.student, slot_id)
    assert problem(answer) == (409, "too-many-unpaid")
    assert timedelta(minutes=9) < bookable_in(answer) <= timedelta(minutes=10, seconds=1)


async def test_one_unpaid_booking_per_instructor(client: httpx.AsyncClient, world: World) -> None:
    first = await world.booking()
    other = await world.slot(timedelta(days=1))
    answer = await book(client, world.student, other)
    assert problem(answer) == (409, "unpaid-with-instructor")
    assert answer.json()["booking_id"] == str(first)
    assert str(first) in answer.json()["detail"]
    await world.set(first, status=BookingStatus.ACCEPTED)
    assert problem(await book(client, world.student, other)) == REACHED


async def test_a_slot_that_a_student_let_lapse_is_theirs_again_after_an_hour(
    client: httpx.AsyncClient, world: World
) -> None:
    slot_id = await world.slot()
    await lapse(world, slot_id, ago=timedelta(minutes=61))
    assert problem(await book(client, world.student, slot_id)) == REACHED
    await lapse(world, slot_id, ago=timedelta(minutes=20))
    answer = await book(client, world.student, slot_id)
    assert problem(answer) == (409, "slot-lapsed")
    assert timedelta(minutes=39) < bookable_in(answer) <= timedelta(minutes=40, seconds=1)


async def test_after_five_lapses_in_a_day_a_student_waits(client: httpx.AsyncClient, world: World) -> None:
    for hours in (25, 5, 4, 3, 2):
        await lapse(world, uuid4(), ago=hours * HOUR)
    slot_id = await world.slot()
    assert problem(await book(client, world.student, slot_id)) == REACHED
    await lapse(world, uuid4(), ago=HOUR)
    answer = await book(client, world.student, slot_id)
    assert problem(answer) == (409, "too-many-lapses")
    assert 18 * HOUR < bookable_in(answer) <= 19 * HOUR + timedelta(seconds=1)


async def test_sessions_that_overlap_are_booked_only_if_that_is_meant(client: httpx.AsyncClient, world: World) -> None:
    other = await World.create(world.engine, stripe_account_id=None)
    taken = await other.booking(
        await other.slot(timedelta(days=2, minutes=30)), world.student, status=BookingStatus.ACCEPTED
    )
    slot_id = await world.slot(timedelta(days=2))
    answer = await book(client, world.student, slot_id)
    assert problem(answer) == (409, "sessions-overlap")
    assert answer.json()["booking_id"] == str(taken)
    assert "allow_overlap" in answer.json()["detail"]
    assert problem(await book(client, world.student, slot_id, allow_overlap=True)) == REACHED


@pytest.mark.parametrize("limit", [*NO_LIMITS, None])
async def test_each_limit_is_a_setting(
    database_url: str, task_queue: str, engine: AsyncEngine, temporal: Client, world: World, limit: str | None
) -> None:
    off = {name: value for name, value in NO_LIMITS.items() if limit in (None, name)}
    app = build_app(settings(database_url, task_queue, PolicySettings(**off)), engine, temporal)
    slot_id = await world.slot()
    if limit in ("max_unpaid", None):
        for _ in range(3):
            await unpaid(world, world.student)
    if limit in ("max_unpaid_per_instructor", None):
        await world.booking(await world.slot(timedelta(days=1)))
    if limit in ("lapsed_slot_wait", None):
        await lapse(world, slot_id)
    if limit in ("max_lapses", None):
        for _ in range(5):
            await lapse(world, uuid4())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client:
        assert problem(await book(client, world.student, slot_id)) == REACHED


@pytest.mark.parametrize(("minutes", "starts_in", "refused"), [(60, 59, True), (60, 61, False), (0, 1, False)])
async def test_a_slot_is_booked_with_the_offerings_notice(
    client: httpx.AsyncClient, world: World, minutes: int, starts_in: int, refused: bool
) -> None:
    url = f"/v1/offerings/{world.offering_id}"
    changed = await client.patch(url, json={"min_notice_minutes": minutes}, headers=world.instructor.headers)
    assert changed.json()["min_notice_minutes"] == minutes
    slot_id = await world.slot(timedelta(minutes=starts_in))
    answer = await book(client, world.student, slot_id)
    assert problem(answer) == ((409, "notice-too-short") if refused else REACHED)
    if refused:
        assert answer.json()["bookable_until"] in answer.json()["detail"]
    (listed,) = (await client.get(f"{url}/slots", params={"only_free": False})).json()["data"]
    assert listed["is_free"] is not refused


async def test_an_offering_has_an_hour_of_notice_unless_it_says_otherwise(
    client: httpx.AsyncClient, world: World
) -> None:
    new = {"title": "Fugue", "price": PRICE.model_dump(), "duration_minutes": 45}
    for more, expected in (({}, 60), ({"min_notice_minutes": 0}, 0)):
        made = await client.post("/v1/offerings", json=new | more, headers=world.instructor.headers)
        assert made.json()["min_notice_minutes"] == expected
    wrong = await client.post("/v1/offerings", json=new | {"min_notice_minutes": -1}, headers=world.instructor.headers)
    assert problem(wrong) == (422, "request-invalid")


async def test_a_price_that_was_raised_after_it_was_shown_is_not_booked(
    client: httpx.AsyncClient, world: World
) -> None:
    shown = (await client.get(f"/v1/offerings/{world.offering_id}")).json()["price"]["total"]
    slot_id = await world.slot()
    assert problem(await book(client, world.student, slot_id, expected_price=shown)) == REACHED
    dearer = {"amount_minor": 90_000, "currency": "usd"}
    change = {"price": dearer}
    await client.patch(f"/v1/offerings/{world.offering_id}", json=change, headers=world.instructor.headers)
    answer = await book(client, world.student, slot_id, expected_price=shown)
    assert problem(answer) == (409, "price-changed")
    assert answer.json()["price"] == dearer
    assert "900.00 USD" in answer.json()["detail"]
    assert problem(await book(client, world.student, slot_id, expected_price=dearer)) == REACHED
    assert problem(await book(client, world.student, slot_id)) == REACHED


async def test_a_policy_that_was_changed_after_it_was_shown_is_not_booked(
    client: httpx.AsyncClient, world: World
) -> None:
    url, slot_id = f"/v1/offerings/{world.offering_id}", await world.slot()
    shown = (await client.get(url)).json()["policy"]["version"]
    assert problem(await book(client, world.student, slot_id, expected_policy_version=shown)) == REACHED
    changed = await client.patch(url, json={"cancellation": "strict"}, headers=world.instructor.headers)
    answer = await book(client, world.student, slot_id, expected_policy_version=shown)
    assert problem(answer) == (409, "policy-changed")
    now = answer.json()["policy_version"]
    assert now == changed.json()["policy"]["version"] != shown
    assert problem(await book(client, world.student, slot_id, expected_policy_version=now)) == REACHED


async def test_a_refused_booking_leaves_its_key_unused(client: httpx.AsyncClient, world: World) -> None:
    slot_id = await world.slot()
    headers = world.student.headers | {"Idempotency-Key": "the same"}
    wrong = {"slot_id": str(slot_id), "expected_price": {"amount_minor": 1, "currency": "usd"}}
    assert problem(await client.post("/v1/bookings", json=wrong, headers=headers)) == (409, "price-changed")
    right = {"slot_id": str(slot_id), "expected_price": PRICE.model_dump()}
    assert problem(await client.post("/v1/bookings", json=right, headers=headers)) == REACHED


async def test_a_students_standing_is_read_through_indexes(engine: AsyncEngine, world: World) -> None:
    now = datetime.now(UTC)
    with noted(engine) as statements:
        async with AsyncSession(engine) as session:
            await standing(session, world.student.id, now, now + HOUR, now, but_for=uuid4())
    plans = [await plan(engine, *statement) for statement in statements]
    indexes = ("ix_booking_request_student_open", "ix_audit_event_student", "ix_stripe_event_declined")
    for read, index in zip(plans, indexes, strict=True):
        assert index in read
        assert "Seq Scan" not in read
