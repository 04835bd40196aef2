"""A cancellation refunds what was quoted, with the Stripe sandbox."""

from datetime import timedelta

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.api.live.journey import approved, booked, decide, paid, seen
from tests.api.world import JSON, Person, World, add_student, book, problem

# The Stripe SDK's own use of httpx.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
    pytest.mark.usefixtures("worker"),
]


async def quoted(client: httpx.AsyncClient, person: Person, booking_id: str) -> JSON:
    answer = await client.get(f"/v1/bookings/{booking_id}/cancellation-quote", headers=person.headers)
    assert answer.status_code == 200, answer.text
    quote: JSON = answer.json()
    return quote


@pytest.mark.parametrize(("hours", "refund_minor"), [(30, 10_000), (5, 5_000), (1, 0)])
async def test_cancellation_by_the_student_refunds_the_quote(
    client: httpx.AsyncClient, world: World, hours: int, refund_minor: int
) -> None:
    booking_id = await approved(client, world, await world.slot(timedelta(hours=hours)))
    quote = await quoted(client, world.student, booking_id)
    assert quote["refund"]["amount_minor"] == refund_minor
    cancelled = (await decide(client, world.student, booking_id, "cancel")).json()
    assert cancelled["payment"]["returned"] == quote["refund"]
    assert cancelled["payment"]["captured"] == quote["kept"]
    assert cancelled["session"]["platform_fee"] == quote["platform_fee"]
    assert cancelled["session"]["instructor_payout"] == quote["instructor_payout"]


async def test_cancellation_by_the_instructor_refunds_the_quote(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await approved(client, world, await world.slot(timedelta(hours=1)))
    quote = await quoted(client, world.instructor, booking_id)
    cancelled = (await decide(client, world.instructor, booking_id, "cancel")).json()
    assert cancelled["payment"]["returned"] == quote["refund"] == cancelled["price"]["total"]


async def test_cancellation_before_the_approval_refunds_the_quote(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await paid(client, world, await world.slot(timedelta(hours=1)))
    quote = await quoted(client, world.student, booking_id)
    cancelled = (await decide(client, world.student, booking_id, "cancel")).json()
    assert cancelled["payment"]["returned"] == quote["refund"] == cancelled["price"]["total"]


async def test_buffers_block_neighbouring_slots_during_checkout(
    client: httpx.AsyncClient, world: World, engine: AsyncEngine
) -> None:
    buffered = await world.with_buffers(15)
    first, near, far = [await buffered.slot(timedelta(days=1, minutes=minutes)) for minutes in (0, 80, 100)]

    async def free() -> list[str]:
        answer = await client.get(f"/v1/offerings/{buffered.offering_id}/slots")
        return [slot["id"] for slot in answer.json()["data"]]

    made = (await booked(client, buffered, first))["id"]
    assert await free() == [str(far)]
    student = await add_student(engine)
    assert problem(await book(client, student, near)) == (409, "slot-taken")
    assert (await decide(client, buffered.student, made, "cancel")).status_code == 200
    await seen(client, buffered.student, made, lambda booking: booking["status"] == "CANCELLED")
    assert await free() == [str(first), str(near), str(far)]
