import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.bookings.client import BookingClient
from api.http.temporal import Timeouts
from api.main import build_app
from models.domain.ids import booking_id, workflow_id
from models.settings import PolicySettings
from tests.api.live.journey import booked, decide, paid, seen
from tests.api.live.workers import Workers
from tests.api.stripe_events import event, send
from tests.api.world import JSON, PUBLIC_URL, World, add_student, book, problem, settings

# The Stripe SDK's own use of httpx.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

STUDENTS = 20


def usd(amount_minor: int) -> JSON:
    return {"amount_minor": amount_minor, "currency": "usd"}


@pytest.mark.usefixtures("worker")
async def test_created_booking_has_checkout_price_and_terms(client: httpx.AsyncClient, world: World) -> None:
    answer = await book(client, world.student, await world.slot())
    assert answer.status_code == 201, answer.text
    created = answer.json()
    names = {"id", "status", "checkout_url", "expires_at", "price", "policy", "payment_plan", "is_recorded"}
    assert set(created) == names
    assert created["payment_plan"] == "HOLD"
    assert created["id"] == str(booking_id(world.student.id, "first"))
    assert created["status"] == "PENDING"
    assert created["checkout_url"].startswith("http")
    assert created["expires_at"].endswith("Z")
    assert created["price"] == {
        "total": usd(10_000),
        "platform_fee": usd(2_000),
        "instructor_payout": usd(8_000),
        "currency": "usd",
    }
    assert created["policy"]["cancellation"]["name"] == "moderate"
    assert answer.headers["location"] == f"/v1/bookings/{created['id']}"
    shown = await client.get(answer.headers["location"], headers=world.student.headers)
    assert shown.json()["checkout_url"] == created["checkout_url"]


@pytest.mark.usefixtures("worker")
async def test_all_twelve_of_a_weekly_series_can_be_booked(client: httpx.AsyncClient, world: World) -> None:
    """Each by another student: whoever has not paid yet cannot reserve many."""
    first = datetime.now(UTC).date() + timedelta(days=3)
    weekday = f"{first:%A}".lower()
    weekly = {"weekday": weekday, "time": "10:00", "from": f"{first:%Y-%m-%d}", "count": 12, "time_zone": "UTC"}
    path = f"/v1/offerings/{world.offering_id}/slots"
    made = await client.post(path, json={"weekly": weekly}, headers=world.instructor.headers)
    assert made.status_code == 201, made.text
    answers = [await book(client, await add_student(world.engine), UUID(slot["id"])) for slot in made.json()["data"]]
    assert [answer.status_code for answer in answers] == 12 * [201]
    plans = [answer.json()["payment_plan"] for answer in answers]
    assert plans == ["HOLD", *11 * ["CHARGE_THEN_TRANSFER"]]


@pytest.mark.usefixtures("worker")
async def test_the_last_of_a_weekly_series_of_twelve_is_charged_now(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await paid(client, world, await world.slot(timedelta(days=78)), succeeded=True)
    shown = (await client.get(f"/v1/bookings/{booking_id}", headers=world.student.headers)).json()
    payment = shown["payment"]
    assert (payment["plan"], payment["status"]) == ("CHARGE_THEN_TRANSFER", "PENDING")
    assert payment["hold_ends_at"] > shown["ends_at"]
    assert (await decide(client, world.instructor, booking_id, "reject", {"reason": "Away."})).status_code == 200
    ended = await seen(client, world.student, booking_id, lambda shown: shown["status"] == "REJECTED")
    assert ended["payment"]["status"] == "REFUNDED"


@pytest.mark.usefixtures("worker")
async def test_same_key_returns_the_same_booking(client: httpx.AsyncClient, world: World) -> None:
    slot_id = await world.slot()
    answers = [(await book(client, world.student, slot_id)).json() for _ in range(2)]
    assert answers[0] == answers[1]


@pytest.mark.usefixtures("worker")
async def test_recording_notice_is_frozen_at_booking(client: httpx.AsyncClient, world: World) -> None:
    made = await booked(client, await world.with_recording(True))
    assert made["is_recorded"] is True
    await world.with_recording(False)
    for person in (world.student, world.instructor):
        shown = await client.get(f"/v1/bookings/{made['id']}", headers=person.headers)
        assert shown.json()["is_recorded"] is True


@pytest.mark.usefixtures("worker")
async def test_concurrent_requests_with_one_key_book_once(client: httpx.AsyncClient, world: World) -> None:
    slot_id = await world.slot()
    answers = await asyncio.gather(*(book(client, world.student, slot_id) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    listed = await client.get("/v1/bookings", headers=world.student.headers)
    assert len(listed.json()["data"]) == 1


@pytest.mark.usefixtures("worker")
async def test_concurrent_requests_with_one_key_for_two_slots_book_one(client: httpx.AsyncClient, world: World) -> None:
    slots = [await world.slot(timedelta(days=days)) for days in (1, 2)]
    answers = await asyncio.gather(*(book(client, world.student, slot_id) for slot_id in slots))
    assert sorted(answer.status_code for answer in answers) == [201, 422]


@pytest.mark.usefixtures("worker")
async def test_one_of_twenty_concurrent_students_gets_the_slot(client: httpx.AsyncClient, world: World) -> None:
    slot_id = await world.slot()
    students = [await add_student(world.engine) for _ in range(STUDENTS)]
    answers = await asyncio.gather(*(book(client, student, slot_id) for student in students))
    refused = [problem(answer) for answer in answers if answer.status_code != 201]
    assert refused == [(409, "slot-taken")] * (STUDENTS - 1)
    listed = await client.get("/v1/bookings", headers=world.instructor.headers)
    assert len(listed.json()["data"]) == 1


@pytest.mark.usefixtures("worker")
async def test_repeated_request_for_a_taken_slot_is_refused_again(client: httpx.AsyncClient, world: World) -> None:
    slot_id = await world.slot()
    students = [await add_student(world.engine) for _ in range(4)]
    first = await asyncio.gather(*(book(client, student, slot_id) for student in students))
    again = [await book(client, student, slot_id) for student in students]
    assert [answer.status_code for answer in again] == [answer.status_code for answer in first]


@pytest.mark.usefixtures("worker")
async def test_booking_cancelled_before_payment_has_no_checkout(client: httpx.AsyncClient, world: World) -> None:
    slot_id = await world.slot()
    made = (await booked(client, world, slot_id))["id"]
    assert (await decide(client, world.student, made, "cancel")).status_code == 200
    again = await book(client, world.student, slot_id)
    assert again.status_code == 201
    assert again.json()["status"] == "CANCELLED"
    assert again.json()["checkout_url"] is None


@pytest.mark.usefixtures("worker")
async def test_expired_booking_is_gone_for_its_student_and_its_key(
    database_url: str, task_queue: str, engine: AsyncEngine, temporal: Client, world: World
) -> None:
    hasty = settings(database_url, task_queue, PolicySettings(checkout_window=timedelta(seconds=1)))
    transport = httpx.ASGITransport(build_app(hasty, engine, temporal))
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
        slot_id = await world.slot()
        made = (await booked(client, world, slot_id))["id"]
        await temporal.get_workflow_handle(workflow_id(UUID(made))).result()
        shown = await client.get(f"/v1/bookings/{made}", headers=world.student.headers)
        again = await book(client, world.student, slot_id)
    for answer in (shown, again):
        assert problem(answer) == (410, "booking-deleted")
        assert answer.json()["reason"] == "checkout_expired"


@pytest.mark.usefixtures("worker")
async def test_paid_booking_has_no_checkout(client: httpx.AsyncClient, world: World) -> None:
    slot_id = await world.slot()
    made = await paid(client, world, slot_id)
    again = await book(client, world.student, slot_id)
    assert again.status_code == 201
    assert again.json()["id"] == made
    assert again.json()["checkout_url"] is None


@pytest.mark.usefixtures("worker")
async def test_repeated_event_is_accepted_and_counts_once(client: httpx.AsyncClient, world: World) -> None:
    made = await paid(client, world)
    late = event(booking_id=made)
    assert [(await send(client, late)).status_code for _ in range(2)] == [200, 200]
    shown = await seen(client, world.student, made, lambda booking: True)
    assert shown["status"] == "PENDING"


async def test_event_of_a_booking_without_workflow_is_accepted(client: httpx.AsyncClient, world: World) -> None:
    unknown = await world.booking()
    assert (await send(client, event(booking_id=unknown))).status_code == 200


async def test_readiness_with_all_services_up(client: httpx.AsyncClient) -> None:
    assert (await client.get("/readyz")).status_code == 200


async def test_request_without_a_worker_can_be_retried_with_its_key(
    app: FastAPI, client: httpx.AsyncClient, world: World, temporal: Client, task_queue: str, workers: Workers
) -> None:
    patient = app.state.bookings
    app.state.bookings = BookingClient(temporal, task_queue, Timeouts(checkout=timedelta(seconds=1)))
    slot_id = await world.slot()
    answer = await book(client, world.student, slot_id)
    assert problem(answer) == (503, "unavailable")
    assert answer.headers["retry-after"]
    app.state.bookings = patient
    async with workers.at_work():
        again = await book(client, world.student, slot_id)
    assert again.status_code == 201
    assert again.json()["checkout_url"]
