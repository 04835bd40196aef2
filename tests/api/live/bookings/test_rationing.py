"""The limits on unpaid bookings, with everything running: many requests at once, as somebody who hoards slots sends."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from tests.api.live.journey import decide, paid
from tests.api.world import World, book, problem

# The Stripe SDK's own use of httpx.
pytestmark = [pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"), pytest.mark.usefixtures("worker")]


async def test_of_twenty_requests_of_a_student_at_once_one_gets_a_slot_of_the_instructor(
    client: httpx.AsyncClient, world: World
) -> None:
    slots = [await world.slot(timedelta(hours=24 + number)) for number in range(20)]
    answers = await asyncio.gather(*(book(client, world.student, slot_id, key=str(slot_id)) for slot_id in slots))
    (made,) = (answer.json() for answer in answers if answer.status_code == 201)
    refused = [answer for answer in answers if answer.status_code != 201]
    assert {problem(answer) for answer in refused} == {(409, "unpaid-with-instructor")}
    assert {answer.json()["booking_id"] for answer in refused} == {made["id"]}
    assert all(answer.json()["bookable_from"] for answer in refused)
    listed = await client.get("/v1/bookings", headers=world.student.headers)
    assert [booking["id"] for booking in listed.json()["data"]] == [made["id"]]


async def test_a_key_whose_booking_reached_a_limit_is_refused_again_and_a_new_one_books_once_it_is_paid(
    client: httpx.AsyncClient, world: World
) -> None:
    slots = [await world.slot(timedelta(hours=24 + number)) for number in range(2)]
    both = await asyncio.gather(*(book(client, world.student, slot_id, key=str(slot_id)) for slot_id in slots))
    assert sorted(answer.status_code for answer in both) == [201, 409]
    for slot_id, answer in zip(slots, both, strict=True):
        if answer.status_code == 409:
            again = await book(client, world.student, slot_id, key=str(slot_id))
            assert problem(again) == (409, "unpaid-with-instructor")


async def test_a_slot_that_a_student_cancelled_before_paying_is_not_theirs_for_an_hour(
    client: httpx.AsyncClient, world: World
) -> None:
    slot_id = await world.slot()
    made = (await book(client, world.student, slot_id)).json()["id"]
    assert (await decide(client, world.student, made, "cancel")).status_code == 200
    assert problem(await book(client, world.student, slot_id, key="again")) == (409, "slot-lapsed")
    assert (await book(client, world.student, await world.slot(timedelta(days=1)), key="other")).status_code == 201


async def test_a_paid_booking_does_not_count(client: httpx.AsyncClient, world: World) -> None:
    await paid(client, world)
    assert (await book(client, world.student, await world.slot(timedelta(days=1)), key="next")).status_code == 201
