import asyncio
from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from tests.api.live.journey import approved, decide, paid, seen
from tests.api.world import JSON, World, add_student, book, problem

# The Stripe SDK's own use of httpx.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
    pytest.mark.usefixtures("worker"),
]

LATER = timedelta(days=4)


def to(slot_id: UUID) -> JSON:
    return {"slot_id": str(slot_id)}


async def test_session_moves_once_both_agree(client: httpx.AsyncClient, world: World) -> None:
    booking_id, other = await approved(client, world), await world.slot(LATER)
    proposed = await decide(client, world.student, booking_id, "reschedule", to(other))
    assert proposed.status_code == 200, proposed.text
    proposal = proposed.json()["proposal"]
    assert (proposal["slot_id"], proposal["proposed_by"]) == (str(other), "student")
    seen = await client.get("/v1/bookings", headers=world.instructor.headers)
    assert seen.json()["data"][0]["proposal"] == proposal
    own = await decide(client, world.student, booking_id, "reschedule/accept", to(other))
    assert problem(own) == (409, "not-possible-now")
    answers = [await decide(client, world.instructor, booking_id, "reschedule/accept", to(other)) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    moved = answers[1].json()
    assert (moved["slot_id"], moved["starts_at"], moved["status"]) == (str(other), proposal["starts_at"], "ACCEPTED")
    assert moved["proposal"] is None
    assert moved["payment"]["status"] == "PENDING"


async def test_old_slot_is_free_after_the_move(client: httpx.AsyncClient, world: World) -> None:
    old, other = await world.slot(), await world.slot(LATER)
    booking_id = await approved(client, world, old)
    await decide(client, world.instructor, booking_id, "reschedule", to(other))
    assert (await decide(client, world.student, booking_id, "reschedule/accept", to(other))).status_code == 200
    again = await book(client, world.student, old, key="the old one")
    assert again.status_code == 201, again.text
    assert problem(await book(client, world.student, other, key="the new one")) == (409, "slot-taken")


async def test_key_returns_its_booking_after_the_move(client: httpx.AsyncClient, world: World) -> None:
    old, other = await world.slot(), await world.slot(LATER)
    booking_id = await approved(client, world, old)
    await decide(client, world.instructor, booking_id, "reschedule", to(other))
    await decide(client, world.student, booking_id, "reschedule/accept", to(other))
    again = await book(client, world.student, old)
    assert (again.status_code, again.json()["id"]) == (201, booking_id)


async def test_declined_or_withdrawn_proposal_changes_nothing(client: httpx.AsyncClient, world: World) -> None:
    booking_id, other = await paid(client, world), await world.slot(LATER)
    for decliner in (world.instructor, world.student):
        before = (await decide(client, world.student, booking_id, "reschedule", to(other))).json()
        declined = await decide(client, decliner, booking_id, "reschedule/decline")
        assert declined.status_code == 200
        assert declined.json()["proposal"] is None
        assert declined.json()["starts_at"] == before["starts_at"]
        nothing = await decide(client, world.instructor, booking_id, "reschedule/accept", to(other))
        assert problem(nothing) == (409, "not-possible-now")
    assert problem(await decide(client, world.student, booking_id, "reschedule/decline")) == (409, "not-possible-now")


async def test_later_proposal_replaces_the_open_one(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await approved(client, world)
    first, second = await world.slot(LATER), await world.slot(timedelta(days=3))
    await decide(client, world.student, booking_id, "reschedule", to(first))
    await decide(client, world.instructor, booking_id, "reschedule", to(second))
    outdated = await decide(client, world.instructor, booking_id, "reschedule/accept", to(first))
    assert problem(outdated) == (409, "not-possible-now")
    assert (await decide(client, world.student, booking_id, "reschedule/accept", to(second))).status_code == 200


async def test_accepting_a_proposal_for_a_taken_slot_is_refused(client: httpx.AsyncClient, world: World) -> None:
    booking_id, other = await approved(client, world), await world.slot(LATER)
    await decide(client, world.student, booking_id, "reschedule", to(other))
    rival = await book(client, world.student, other, key="a rival")
    assert rival.status_code == 201, rival.text
    answer = await decide(client, world.instructor, booking_id, "reschedule/accept", to(other))
    assert problem(answer) == (409, "slot-taken")


async def test_impossible_proposal_is_refused(client: httpx.AsyncClient, world: World) -> None:
    student = await add_student(world.engine)
    unpaid = (await book(client, student, await world.slot(), key="unpaid")).json()["id"]
    other = await world.slot(LATER)
    assert problem(await decide(client, student, unpaid, "reschedule", to(other))) == (409, "not-possible-now")
    booking_id = await approved(client, world, await world.slot(timedelta(days=3)))
    for slot_id in (UUID(int=7), await world.slot(timedelta(days=100)), await world.slot(timedelta(hours=-1))):
        answer = await decide(client, world.student, booking_id, "reschedule", to(slot_id))
        assert problem(answer) == (409, "not-possible-now")
    await decide(client, world.student, booking_id, "cancel")
    answer = await decide(client, world.student, booking_id, "reschedule", to(other))
    assert problem(answer) == (409, "booking-closed")


async def test_withdrawn_slot_can_be_neither_proposed_nor_accepted(client: httpx.AsyncClient, world: World) -> None:
    booking_id, other = await approved(client, world), await world.slot(LATER)
    assert (await decide(client, world.student, booking_id, "reschedule", to(other))).status_code == 200
    url = f"/v1/offerings/{world.offering_id}/slots/{other}"
    assert (await client.delete(url, headers=world.instructor.headers)).status_code == 204
    agreed = await decide(client, world.instructor, booking_id, "reschedule/accept", to(other))
    assert problem(agreed) == (409, "not-possible-now")
    assert "withdrawn" in agreed.json()["detail"]
    proposed = await decide(client, world.student, booking_id, "reschedule", to(other))
    assert problem(proposed) == (409, "not-possible-now")
    ended = await decide(client, world.instructor, booking_id, "reschedule/decline")
    assert problem(ended) == (409, "not-possible-now")


async def test_a_proposal_ends_when_its_slot_is_taken(client: httpx.AsyncClient, world: World) -> None:
    booking_id, other = await approved(client, world), await world.slot(LATER)
    await decide(client, world.student, booking_id, "reschedule", to(other))
    overlapping = await world.slot(LATER + timedelta(minutes=30))
    assert (await book(client, world.student, overlapping, key="a rival")).status_code == 201
    for person in (world.student, world.instructor):
        listed = (await client.get("/v1/bookings", headers=person.headers)).json()["data"]
        assert next(each for each in listed if each["id"] == booking_id)["proposal"] is None


async def test_a_proposal_ends_when_its_slot_begins(client: httpx.AsyncClient, world: World) -> None:
    booking_id, soon = await approved(client, world), await world.slot(timedelta(seconds=2))
    proposed = await decide(client, world.student, booking_id, "reschedule", to(soon))
    assert proposed.json()["proposal"]["slot_id"] == str(soon)
    shown = await seen(client, world.instructor, booking_id, lambda shown: shown["proposal"] is None)
    assert shown["status"] == "ACCEPTED"


async def test_a_proposal_is_accepted_or_withdrawn_and_never_both(client: httpx.AsyncClient, world: World) -> None:
    booking_id = await approved(client, world)
    for days in range(1, 7):
        other = await world.slot(timedelta(days=4, hours=days))
        assert (await decide(client, world.student, booking_id, "reschedule", to(other))).status_code == 200
        accepted, withdrawn = await asyncio.gather(
            decide(client, world.instructor, booking_id, "reschedule/accept", to(other)),
            decide(client, world.student, booking_id, "reschedule/decline"),
        )
        assert sorted(each.status_code for each in (accepted, withdrawn)) == [200, 409]
        shown = (await client.get(f"/v1/bookings/{booking_id}", headers=world.student.headers)).json()
        assert (shown["slot_id"] == str(other)) is (accepted.status_code == 200)
        assert shown["proposal"] is None
