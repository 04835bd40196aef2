"""Payouts and balances as instructors, operators and students see them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.database import ledger
from models.domain import postings
from models.domain.money import Money
from models.domain.policy import Split
from models.domain.states import BookingStatus, PayoutStatus
from models.tables.payments import InstructorPayout
from tests.api.sql_statements import noted
from tests.api.world import JSON, Person, World

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def usd(amount_minor: int) -> Money:
    return Money(amount_minor=amount_minor, currency="usd")


async def payout(world: World, day: int = 0, **fields: Any) -> UUID:
    """Store the payout of a booking of 100.00 usd. Returns the booking's id."""
    booking_id = await world.booking(await world.slot(timedelta(days=2 + day)), status=BookingStatus.COMPLETED)
    row: JSON = {
        "booking_id": booking_id,
        "instructor_id": world.instructor.id,
        "status": PayoutStatus.PROCESSING,
        "amount_minor": 8_000,
        "platform_fee_minor": 2_000,
        "currency": "usd",
        "created_at": NOW + day * DAY,
        "updated_at": NOW + day * DAY,
    }
    await world.add(InstructorPayout(**(row | fields)))
    return booking_id


async def failed_payout(world: World, day: int = 0) -> UUID:
    return await payout(
        world, day, status=PayoutStatus.FAILED, stripe_payout_id="po_1", failure_reason="account_closed"
    )


async def clawed_back(world: World, booking_id: UUID) -> None:
    """Post a capture, its payout, and a refund of half of it."""
    parties = postings.Parties(booking_id=booking_id, instructor_id=world.instructor.id)
    kept = postings.Shares(instructor=usd(4_000), platform_fee=usd(1_000), platform_loss=usd(0))
    split = Split(kept=usd(10_000), platform_fee=usd(2_000), instructor_payout=usd(8_000))
    async with AsyncSession(world.engine) as session, session.begin():
        await ledger.post(session, NOW, *postings.capture(parties, split, None))
        await ledger.post(session, NOW, postings.paid_out(world.instructor.id, booking_id, "po_1", usd(8_000)))
        await ledger.post(session, NOW, *postings.refund(parties, "re_1", kept))


async def get(client: httpx.AsyncClient, person: Person, path: str, **query: str) -> JSON:
    answer = await client.get(path, params=query, headers=person.headers)
    assert answer.status_code == 200, answer.text
    body: JSON = answer.json()
    return body


async def test_a_failed_payout_says_why_and_what_to_do(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await failed_payout(world)
    [shown] = (await get(client, world.instructor, "/v1/instructors/me/payouts"))["data"]
    assert (shown["booking_id"], shown["status"], shown["amount"]["amount_minor"]) == (str(booking_id), "FAILED", 8_000)
    assert shown["failure"] == {
        "code": "account_closed",
        "why": "The bank account has been closed.",
        "what_to_do": "Add another bank account at Stripe. The next payout goes there automatically.",
    }


@pytest.mark.parametrize(("role", "sees"), [("instructor", True), ("operator", True), ("student", False)])
async def test_students_do_not_see_the_payout_of_a_booking(
    client: httpx.AsyncClient, world: World, role: str, sees: bool
) -> None:
    booking_id = await failed_payout(world)
    shown = await get(client, getattr(world, role), f"/v1/bookings/{booking_id}")
    assert (shown["payout"] is not None) is sees
    if role != "operator":
        [listed] = (await get(client, getattr(world, role), "/v1/bookings"))["data"]
        assert listed["payout"] == shown["payout"]


async def test_a_negative_balance_is_shown_to_its_instructor_and_to_operators(
    client: httpx.AsyncClient, world: World
) -> None:
    await clawed_back(world, await payout(world, status=PayoutStatus.PAID, stripe_payout_id="po_1"))
    owed = {"amount_minor": -4_000, "currency": "usd"}
    assert (await get(client, world.instructor, "/v1/instructors/me/payouts"))["balances"] == [owed]
    assert (await get(client, world.instructor, "/v1/instructors/me"))["payments"]["balances"] == [owed]
    assert await get(client, world.operator, "/v1/operator/negative-balances") == {
        "data": [{"instructor_id": str(world.instructor.id), "instructor_name": "Nadia", "balance": owed}],
        "has_more": False,
    }


async def test_a_balance_that_is_no_longer_negative_is_not_listed(client: httpx.AsyncClient, world: World) -> None:
    await clawed_back(world, await payout(world))
    later = postings.Parties(booking_id=await payout(world, 1), instructor_id=world.instructor.id)
    split = Split(kept=usd(5_000), platform_fee=usd(1_000), instructor_payout=usd(4_000))
    async with AsyncSession(world.engine) as session, session.begin():
        await ledger.post(session, NOW, *postings.capture(later, split, None))
    assert (await get(client, world.operator, "/v1/operator/negative-balances"))["data"] == []


async def test_payouts_are_paginated_and_filtered(client: httpx.AsyncClient, world: World) -> None:
    oldest, _, newest = [await payout(world, 0), await failed_payout(world, 1), await payout(world, 2)]
    for person, path in ((world.instructor, "/v1/instructors/me/payouts"), (world.operator, "/v1/operator/payouts")):
        first = await get(client, person, path, limit="2")
        rest = await get(client, person, path, limit="2", cursor=first["next_cursor"])
        assert [first["data"][0]["booking_id"], rest["data"][0]["booking_id"]] == [str(newest), str(oldest)]
        assert rest["next_cursor"] is None
        assert len((await get(client, person, path, status="FAILED"))["data"]) == 1
    other = await World.create(world.engine, "acct_other")
    nothing = await get(client, world.operator, "/v1/operator/payouts", instructor_id=str(other.instructor.id))
    assert nothing["data"] == []


async def test_a_payout_names_the_session_and_both_people(client: httpx.AsyncClient, world: World) -> None:
    await payout(world)
    for person, path in ((world.instructor, "/v1/instructors/me/payouts"), (world.operator, "/v1/operator/payouts")):
        [shown] = (await get(client, person, path))["data"]
        assert (shown["title"], shown["student_name"], shown["instructor_name"]) == ("Counterpoint", "Ada", "Nadia")


async def test_a_list_takes_a_constant_number_of_statements(client: httpx.AsyncClient, world: World) -> None:
    counts = []
    for day in range(3):
        await payout(world, day)
        with noted(world.engine) as statements:
            await get(client, world.instructor, "/v1/instructors/me/payouts")
        counts.append(len(statements))
    assert counts == [2, 2, 2]
