"""An instructor updates and withdraws offerings and slots. Temporal is down: a 503 means the slot can be booked."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from models.domain.policy import STRICT
from models.domain.states import BookingStatus
from tests.api.world import HOUR, JSON, Person, World, add_instructor, audited, book, problem

DAY = timedelta(days=1)
BOOKABLE = (503, "unavailable")


async def change(
    client: httpx.AsyncClient, world: World, person: Person | None = None, **changes: Any
) -> httpx.Response:
    url = f"/v1/offerings/{world.offering_id}"
    return await client.patch(url, json=changes, headers=(person or world.instructor).headers)


async def withdraw(client: httpx.AsyncClient, world: World, slot_id: object) -> httpx.Response:
    url = f"/v1/offerings/{world.offering_id}/slots/{slot_id}"
    return await client.delete(url, headers=world.instructor.headers)


async def withdraw_all(client: httpx.AsyncClient, world: World, **window: timedelta) -> httpx.Response:
    params = {name: (datetime.now(UTC) + offset).isoformat() for name, offset in window.items()}
    url = f"/v1/offerings/{world.offering_id}/slots"
    return await client.delete(url, params=params, headers=world.instructor.headers)


async def slot_ids(client: httpx.AsyncClient, world: World, **params: Any) -> list[str]:
    answer = await client.get(f"/v1/offerings/{world.offering_id}/slots", params=params)
    return [slot["id"] for slot in answer.json()["data"]]


async def offering_ids(
    client: httpx.AsyncClient, world: World, path: str = "/v1/offerings", **params: Any
) -> list[str]:
    answer = await client.get(path, params=params, headers=world.instructor.headers)
    return [offering["id"] for offering in answer.json()["data"]]


async def test_only_the_sent_fields_change(client: httpx.AsyncClient, world: World) -> None:
    before = (await client.get(f"/v1/offerings/{world.offering_id}")).json()
    answer = await change(client, world, title=" Fugue ", price={"amount_minor": 900, "currency": "eur"})
    assert answer.status_code == 200, answer.text
    after = answer.json()
    assert (await client.get(f"/v1/offerings/{world.offering_id}")).json() == after
    assert (after["title"], after["price"]["total"]) == ("Fugue", {"amount_minor": 900, "currency": "eur"})
    assert {name: after[name] for name in after.keys() - {"title", "price"}} == {
        name: before[name] for name in before.keys() - {"title", "price"}
    }
    assert await offering_ids(client, world, q="fugue", currency="eur", price_max=900) == [str(world.offering_id)]


async def test_a_change_is_audited_without_free_text_and_a_no_op_is_not(
    client: httpx.AsyncClient, world: World
) -> None:
    changes: JSON = {"title": "Fugue", "price": {"amount_minor": 900, "currency": "usd"}, "cancellation": "strict"}
    more: JSON = {"buffer_after_minutes": 15, "is_recorded": True}
    answers = [await change(client, world, **changes, **more) for _ in range(2)]
    answers.append(await change(client, world))
    assert [answer.json() for answer in answers] == [answers[0].json()] * 3
    (event,) = await audited(world.engine, world.offering_id)
    assert (event.action, event.actor_id, event.channel) == ("offering.changed", world.instructor.id, "api")
    assert event.detail.keys() == {"title", "price_minor", "cancellation", "buffer_after_minutes", "is_recorded"}
    assert event.detail["price_minor"] == {"from": 10_000, "to": 900}
    assert event.detail["cancellation"]["to"] == STRICT.model_dump(mode="json")
    assert "Fugue" not in str(event.detail)


@pytest.mark.parametrize(
    "wrong", [{"duration_minutes": 30}, {"title": None}, {"is_active": 0}, {"price": {"amount_minor": 10**12}}]
)
async def test_an_invalid_change_is_refused(client: httpx.AsyncClient, world: World, wrong: JSON) -> None:
    assert problem(await change(client, world, **wrong)) == (422, "request-invalid")


async def test_a_new_price_must_be_chargeable(client: httpx.AsyncClient, world: World) -> None:
    answer = await change(client, world, price={"amount_minor": 1, "currency": "usd"})
    assert problem(answer) == (422, "price-not-chargeable")


async def test_another_instructor_cannot_change_an_offering_or_its_slots(
    client: httpx.AsyncClient, world: World
) -> None:
    stranger, slot_id = await add_instructor(world.engine), await world.slot()
    assert problem(await change(client, world, stranger, title="Mine")) == (403, "not-yours")
    for path in (f"slots/{slot_id}", "slots?starts_after=2026-01-01T00:00:00Z"):
        answer = await client.delete(f"/v1/offerings/{world.offering_id}/{path}", headers=stranger.headers)
        assert problem(answer) == (403, "not-yours")
        unknown = await client.delete(f"/v1/offerings/{uuid4()}/{path}", headers=world.instructor.headers)
        assert problem(unknown) == (404, "not-found")
    assert await slot_ids(client, world) == [str(slot_id)]


async def test_a_withdrawn_offering_is_not_listed_or_bookable_until_reopened(
    client: httpx.AsyncClient, world: World
) -> None:
    slot_id, id = await world.slot(), str(world.offering_id)
    window = {"starts_after": datetime.now(UTC).isoformat()}
    assert (await change(client, world, is_active=False)).json()["is_active"] is False
    for params in ({}, {"instructor_id": str(world.instructor.id)}, window):
        assert await offering_ids(client, world, **params) == []
    assert await offering_ids(client, world, "/v1/instructors/me/offerings") == [id]
    assert (await client.get(f"/v1/offerings/{id}")).json()["is_active"] is False
    assert await slot_ids(client, world) == []
    assert await slot_ids(client, world, only_free=False) == [str(slot_id)]
    assert problem(await book(client, world.student, slot_id, key="withdrawn")) == (409, "offering-withdrawn")
    await change(client, world, is_active=True)
    for params in ({}, {"instructor_id": str(world.instructor.id)}, window):
        assert await offering_ids(client, world, **params) == [id]
    assert await slot_ids(client, world) == [str(slot_id)]
    assert problem(await book(client, world.student, slot_id, key="reopened")) == BOOKABLE


async def test_own_offerings_are_paginated_and_only_the_callers(client: httpx.AsyncClient, world: World) -> None:
    await World.create(world.engine, "acct_of_somebody_else")
    new = {"title": "Fugue", "price": {"amount_minor": 900, "currency": "usd"}, "duration_minutes": 45}
    created = await client.post("/v1/offerings", json=new, headers=world.instructor.headers)
    path, headers = "/v1/instructors/me/offerings", world.instructor.headers
    first = (await client.get(path, params={"limit": 1}, headers=headers)).json()
    second = (await client.get(path, params={"limit": 1, "cursor": first["next_cursor"]}, headers=headers)).json()
    assert [page["data"][0]["id"] for page in (first, second)] == [created.json()["id"], str(world.offering_id)]
    assert second["next_cursor"] is None


async def test_a_withdrawn_slot_is_not_found_and_its_time_can_be_offered_again(
    client: httpx.AsyncClient, world: World
) -> None:
    starts_at = {"starts_at": (datetime.now(UTC) + DAY).replace(second=0, microsecond=0).isoformat()}
    url, headers = f"/v1/offerings/{world.offering_id}/slots", world.instructor.headers
    slot_id = (await client.post(url, json=starts_at, headers=headers)).json()["data"][0]["id"]
    withdrawn = await withdraw(client, world, slot_id)
    assert (withdrawn.status_code, withdrawn.content) == (204, b"")
    assert await slot_ids(client, world, only_free=False) == []
    assert await offering_ids(client, world, starts_after=datetime.now(UTC).isoformat()) == []
    assert problem(await book(client, world.student, slot_id)) == (404, "not-found")
    assert problem(await withdraw(client, world, slot_id)) == (404, "not-found")
    (new,) = (await client.post(url, json=starts_at, headers=headers)).json()["data"]
    assert new["id"] != slot_id
    assert await slot_ids(client, world) == [new["id"]]
    events = await audited(world.engine, world.offering_id)
    assert [event.action.removeprefix("offering.slots_") for event in events] == ["added", "withdrawn", "added"]
    assert events[1].detail == {"slot_ids": [slot_id]}
    assert (events[1].actor_id, events[1].channel) == (world.instructor.id, "api")


async def test_a_slot_with_an_open_booking_is_not_withdrawn(client: httpx.AsyncClient, world: World) -> None:
    slot_id, overlapping = await world.slot(DAY), await world.slot(DAY + HOUR / 2)
    booking_id = await world.booking(slot_id)
    answer = await withdraw(client, world, slot_id)
    assert problem(answer) == (409, "slot-taken")
    assert answer.json()["booking_id"] == str(booking_id)
    assert "Cancel the booking" in answer.json()["detail"]
    assert (await withdraw(client, world, overlapping)).status_code == 204
    await world.set(booking_id, status=BookingStatus.CANCELLED)
    assert (await withdraw(client, world, slot_id)).status_code == 204
    shown = (await client.get(f"/v1/bookings/{booking_id}", headers=world.student.headers)).json()
    assert shown["slot_id"] == str(slot_id)


async def test_a_started_or_unknown_slot_is_not_withdrawn(client: httpx.AsyncClient, world: World) -> None:
    other = await World.create(world.engine, "acct_of_somebody_else")
    assert problem(await withdraw(client, world, await world.slot(-HOUR / 2))) == (409, "slot-in-the-past")
    for slot_id in (uuid4(), await other.slot(), "tomorrow"):
        assert problem(await withdraw(client, world, slot_id)) == (404, "not-found")


async def test_a_window_of_slots_is_withdrawn_except_booked_ones(client: httpx.AsyncClient, world: World) -> None:
    started, *slots = [
        await world.slot(starts_in) for starts_in in (-HOUR / 2, DAY, 2 * DAY, 3 * DAY, 4 * DAY, 9 * DAY)
    ]
    await world.booking(slots[2])
    await world.booking(slots[1], status=BookingStatus.CANCELLED)
    answer = await withdraw_all(client, world, starts_after=1.5 * DAY, starts_before=5 * DAY)
    assert (answer.status_code, answer.json()) == (200, {"withdrawn": 2, "booked": 1})
    assert await slot_ids(client, world) == [str(slots[0]), str(slots[4])]
    again = await withdraw_all(client, world, starts_after=1.5 * DAY, starts_before=5 * DAY)
    assert again.json() == {"withdrawn": 0, "booked": 1}
    rest = await withdraw_all(client, world, starts_after=-DAY)
    assert rest.json() == {"withdrawn": 2, "booked": 1}
    assert await slot_ids(client, world, only_free=False) == [str(started), str(slots[2])]
    first, second = [set(event.detail["slot_ids"]) for event in await audited(world.engine, world.offering_id)]
    assert (first, second) == ({str(slots[1]), str(slots[3])}, {str(slots[0]), str(slots[4])})
    assert problem(await withdraw_all(client, world)) == (422, "request-invalid")
