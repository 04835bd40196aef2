"""A request that creates something takes effect once for each `Idempotency-Key`, on every route."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel, col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.policy import PaymentPlan
from models.domain.states import PaymentStatus
from models.tables.bookings import RescheduleProposal
from models.tables.catalogue import Offering, Slot
from models.tables.payments import Payment
from tests.api.route_table import BODIES
from tests.api.world import World, add_instructor, problem

KEY = {"Idempotency-Key": "a key"}

REPEATABLE = {
    "/v1/auth/signup": "an address has one account",
    "/v1/auth/token": "a token is not a record",
    "/v1/auth/signout": "sets a state",
    "/v1/auth/password-reset": "a mail, and each has its own link",
    "/v1/auth/password": "the mailed token works once",
    "/v1/auth/password/change": "the current password is another one afterwards",
    "/v1/auth/verification": "a mail, and each has its own link",
    "/v1/auth/verify": "the mailed token works once",
    "/v1/me/roles": "an account has a role once",
    "/v1/me/close": "sets a state",
    "/v1/operator/people/{person_id}/suspend": "sets a state",
    "/v1/operator/people/{person_id}/reinstate": "sets a state",
    "/v1/bookings/{booking_id}/reschedule/decline": "a proposal is declined once",
    "/v1/operator/disputes/{dispute_id}/take-over": "sets a state",
    "/v1/operator/disputes/{dispute_id}/submit": "a bank takes one response",
    "/v1/operator/disputes/{dispute_id}/accept": "sets a state",
    "/v1/operator/bookings/{booking_id}/adjust": "a drift is adjusted once",
    "/v1/operator/drifts/{drift_id}/adjust": "a drift is adjusted once",
    "/v1/operator/reconciliations": "joins the run that is in progress",
    "/v1/webhooks/{webhook_id}/replay": "sets messages to be sent",
    "/v1/stripe/webhook": "an event has an id",
    "/v1/stripe/connect-webhook": "an event has an id",
    "/v1/meetings/webhook": "an event has an id",
}
"""POST routes without a key, and why a repeated request does no harm."""


def test_every_post_takes_a_key_or_can_be_repeated(app: FastAPI) -> None:
    without = {
        path
        for path, operations in app.openapi()["paths"].items()
        if "post" in operations
        and not any(each["name"] == "Idempotency-Key" for each in operations["post"].get("parameters", ()))
    }
    assert without == set(REPEATABLE)


async def count(engine: AsyncEngine, table: type[SQLModel]) -> int:
    async with AsyncSession(engine) as session:
        return (await session.exec(select(func.count()).select_from(table))).one()


async def test_concurrent_requests_with_one_key_create_one_offering(client: httpx.AsyncClient, world: World) -> None:
    headers = world.instructor.headers | KEY
    answers = await asyncio.gather(
        *(client.post("/v1/offerings", json=BODIES["offerings"], headers=headers) for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len({answer.headers["Location"] for answer in answers}) == 1
    assert await count(world.engine, Offering) == 2  # with the world's own


async def test_without_a_key_each_request_creates_an_offering(client: httpx.AsyncClient, world: World) -> None:
    for _ in range(2):
        await client.post("/v1/offerings", json=BODIES["offerings"], headers=world.instructor.headers)
    assert await count(world.engine, Offering) == 3


async def test_a_repeated_request_does_not_add_withdrawn_slots_again(client: httpx.AsyncClient, world: World) -> None:
    path, headers = f"/v1/offerings/{world.offering_id}/slots", world.instructor.headers
    first = await client.post(path, json=BODIES["slots"], headers=headers | KEY)
    assert first.status_code == 201
    (slot,) = first.json()["data"]
    await client.delete(f"{path}/{slot['id']}", headers=headers)
    again = await client.post(path, json=BODIES["slots"], headers=headers | KEY)
    assert (again.status_code, again.json()["data"]) == (201, [])
    assert await count(world.engine, Slot) == 1


async def test_a_repeated_request_proposes_once(client: httpx.AsyncClient, world: World) -> None:
    booking_id, other = await world.booking(), await world.slot(timedelta(days=3))
    now = datetime.now(UTC)
    await world.add(
        Payment(
            booking_id=booking_id,
            status=PaymentStatus.PENDING,
            plan=PaymentPlan.HOLD,
            payment_intent_id="pi_1",
            amount_minor=10_000,
            currency="usd",
            hold_ends_at=now + timedelta(days=7),
            created_at=now,
            updated_at=now,
        )
    )
    for _ in range(2):
        answer = await client.post(
            f"/v1/bookings/{booking_id}/reschedule",
            json={"slot_id": str(other)},
            headers=world.student.headers | KEY,
        )
        assert answer.status_code == 200, answer.text
    async with AsyncSession(world.engine) as session:
        proposals = (await session.exec(select(RescheduleProposal).order_by(col(RescheduleProposal.created_at)))).all()
    assert [proposal.slot_id for proposal in proposals] == [other]


@pytest.mark.parametrize("name", ["offerings", "slots"])
async def test_another_body_with_the_same_key_is_refused(client: httpx.AsyncClient, world: World, name: str) -> None:
    path = "/v1/offerings" if name == "offerings" else f"/v1/offerings/{world.offering_id}/slots"
    later = (datetime.now(UTC) + timedelta(days=9)).replace(second=0, microsecond=0)
    other = {"offerings": {"title": "Fugue"}, "slots": {"starts_at": later.isoformat()}}[name]
    headers = world.instructor.headers | KEY
    assert (await client.post(path, json=BODIES[name], headers=headers)).status_code == 201
    assert problem(await client.post(path, json=BODIES[name] | other, headers=headers)) == (
        422,
        "idempotency-key-reused",
    )


async def test_people_do_not_share_keys(client: httpx.AsyncClient, world: World) -> None:
    other = await add_instructor(world.engine)
    ids = {
        (await client.post("/v1/offerings", json=BODIES["offerings"], headers=person.headers | KEY)).json()["id"]
        for person in (world.instructor, other)
    }
    assert len(ids) == 2


async def test_a_key_that_is_not_one_is_refused(client: httpx.AsyncClient, world: World) -> None:
    headers = world.instructor.headers | {"Idempotency-Key": ""}
    answer = await client.post("/v1/offerings", json=BODIES["offerings"], headers=headers)
    assert problem(answer) == (400, "idempotency-key-required")
