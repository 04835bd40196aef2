"""A decision that is sent again with its `Idempotency-Key` gets its outcome, whatever has happened since."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client

from api.bookings.client import BookingClient
from api.http.temporal import Timeouts
from models.domain.errors import Declined
from models.tables.audit import AuditEvent
from tests.api.live.journey import REASON, approved, decide, over, paid, seen
from tests.api.live.workers import FailingGateway, Workers
from tests.api.world import JSON, Person, World, problem

# The Stripe SDK's own use of httpx.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

Start = Callable[[httpx.AsyncClient, World], Awaitable[str]]
Step = tuple[str, str, JSON | None]
"""Who decides, what, and the body."""


TWO_DAYS_LATER: JSON = {"until": (datetime.now(UTC) + timedelta(days=2, hours=20)).isoformat()}
CHAINS: dict[str, tuple[Start, list[Step]]] = {
    "approved and cancelled": (paid, [("instructor", "approve", None), ("student", "cancel", None)]),
    "rejected": (paid, [("instructor", "reject", {"reason": "I am away."})]),
    "completed and confirmed": (over, [("instructor", "complete", None), ("student", "confirm", None)]),
    "objected": (over, [("instructor", "complete", None), ("student", "object", {"reason": "Nobody came."})]),
    "contested": (
        over,
        [("student", "no-show", {"absent": "instructor"}), ("instructor", "no-show/contest", None)],
    ),
    "extended and settled": (approved, [("operator", "extend", TWO_DAYS_LATER), ("operator", "settle", REASON)]),
    "released": (paid, [("operator", "release", None)]),
    "refunded": (approved, [("operator", "refund", {"amount_minor": 2_500, **REASON})]),
}


async def send(
    client: httpx.AsyncClient, person: Person, booking_id: str, what: str, body: JSON | None, key: str
) -> httpx.Response:
    prefix = "/v1/operator" if person.role == "operator" else "/v1"
    headers = person.headers | {"Idempotency-Key": key}
    return await client.post(f"{prefix}/bookings/{booking_id}/{what}", json=body, headers=headers)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("chain", list(CHAINS))
async def test_every_decision_can_be_repeated(client: httpx.AsyncClient, world: World, chain: str) -> None:
    start, steps = CHAINS[chain]
    await check_repeatable(client, world, await start(client, world), steps)


@pytest.mark.usefixtures("worker")
async def test_accepting_a_proposal_can_be_repeated_after_the_next_move(
    client: httpx.AsyncClient, world: World
) -> None:
    old = await world.slot()
    booking_id, other = await approved(client, world, old), await world.slot(timedelta(days=4))
    bodies: list[JSON] = [{"slot_id": str(slot_id)} for slot_id in (other, old)]
    for body in bodies:
        assert (await decide(client, world.student, booking_id, "reschedule", body)).status_code == 200
        answer = await send(client, world.instructor, booking_id, "reschedule/accept", body, body["slot_id"])
        assert (answer.status_code, answer.json()["slot_id"]) == (200, body["slot_id"])
    again = await send(client, world.instructor, booking_id, "reschedule/accept", bodies[0], str(other))
    assert (again.status_code, again.json()["slot_id"]) == (200, str(old))


async def check_repeatable(client: httpx.AsyncClient, world: World, booking_id: str, steps: list[Step]) -> None:
    for role, what, body in steps:
        first, again = [await send(client, getattr(world, role), booking_id, what, body, "k") for _ in range(2)]
        assert [first.status_code, again.status_code] == [200, 200], again.text
        assert again.json() == first.json()
    # Later decisions, and the booking's end, do not change that.
    for role, what, body in steps:
        answer = await send(client, getattr(world, role), booking_id, what, body, "k")
        assert answer.status_code == 200, answer.text


@pytest.mark.usefixtures("worker")
async def test_key_is_the_callers_own_and_for_one_decision(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await paid(client, world)
    for what in ("approve", "approve", "cancel"):
        assert (await send(client, world.instructor, booking_id, what, None, "k")).status_code == 200
    another = await send(client, world.instructor, booking_id, "approve", None, "another key")
    assert problem(another) == (409, "booking-closed")
    students = await send(client, world.student, booking_id, "cancel", None, "k")
    assert problem(students) == (409, "booking-closed")


@pytest.mark.usefixtures("worker")
async def test_another_body_with_the_same_key_is_refused_and_changes_nothing(
    client: httpx.AsyncClient, world: World
) -> None:
    booking_id = await paid(client, world)
    for _ in range(2):
        answer = await send(client, world.instructor, booking_id, "reject", {"reason": "I am away."}, "k")
        assert answer.status_code == 200
        other = await send(client, world.instructor, booking_id, "reject", {"reason": "Too early."}, "k")
        assert problem(other) == (422, "idempotency-key-reused")
    shown = await client.get(f"/v1/bookings/{booking_id}", headers=world.student.headers)
    assert shown.json()["rejection_reason"] == "I am away."


@pytest.mark.usefixtures("worker")
async def test_reason_of_a_repeated_settlement_is_kept_once(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await approved(client, world)
    for _ in range(2):
        assert (await send(client, world.operator, booking_id, "settle", REASON, "k")).status_code == 200
    kept = select(AuditEvent.detail).where(
        col(AuditEvent.booking_id) == UUID(booking_id), col(AuditEvent.action) == "booking.settlement_reason_kept"
    )
    async with AsyncSession(world.engine) as session:
        assert list(await session.exec(kept)) == [REASON]


@pytest.mark.usefixtures("worker")
async def test_refused_decision_can_be_sent_again_with_its_key(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await approved(client, world, await world.slot(timedelta(seconds=4), timedelta(hours=1)))
    assert problem(await send(client, world.student, booking_id, "confirm", None, "k")) == (409, "not-possible-now")
    await asyncio.sleep(4)
    assert (await send(client, world.student, booking_id, "confirm", None, "k")).status_code == 200


async def test_retry_can_be_repeated(client: httpx.AsyncClient, world: World, workers: Workers) -> None:
    gateway = FailingGateway(workers.stripe, Declined("resource_missing"))
    async with workers.at_work(gateway):
        booking_id = await paid(client, world)
        await decide(client, world.instructor, booking_id, "reject", {"reason": "I am away."})
        gateway.failure = None
        for _ in range(2):
            answer = await send(client, world.operator, booking_id, "retry", None, "k")
            assert answer.status_code == 200, answer.text
            assert answer.json()["status"] == "REJECTED"


async def test_unknown_outcome_is_said_as_unknown_and_asked_for_with_the_key(
    app: FastAPI, client: httpx.AsyncClient, world: World, temporal: Client, task_queue: str, workers: Workers
) -> None:
    """While no worker runs, an approval is stored in Temporal. The worker that comes back carries it out."""
    async with workers.at_work():
        booking_id = await paid(client, world)
    app.state.bookings = BookingClient(temporal, task_queue, Timeouts(decision=timedelta(seconds=1)))
    answer = await send(client, world.instructor, booking_id, "approve", None, "k")
    assert problem(answer) == (503, "unavailable")
    assert "may still be carried out" in answer.json()["detail"]
    assert "same Idempotency-Key" in answer.json()["detail"]
    app.state.bookings = BookingClient(temporal, task_queue)
    async with workers.at_work():
        again = await send(client, world.instructor, booking_id, "approve", None, "k")
        assert (again.status_code, again.json()["status"]) == (200, "ACCEPTED")
        await seen(client, world.student, booking_id, lambda shown: shown["status"] == "ACCEPTED")
