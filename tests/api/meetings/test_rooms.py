"""Links from before a new password or a suspension lead into a room that nobody is sent to any more."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlmodel.ext.asyncio.session import AsyncSession

from api.people.passwords import AsyncPasswordHasher
from models.domain.actors import Role
from models.domain.states import BookingStatus, SessionStatus
from models.tables.bookings import LiveSession
from tests.api.meetings.provider_events import recorded, report, scheduled, send
from tests.api.people.sign_in import PASSWORD, CountingHasher, sign_in, sign_up
from tests.api.world import HOUR, Person, World

End = Callable[[httpx.AsyncClient, World, Person], Awaitable[httpx.Response]]


@pytest.fixture(autouse=True)
def hasher(app: FastAPI) -> None:
    app.state.password_hasher = AsyncPasswordHasher(CountingHasher())


@pytest.fixture
async def ada(client: httpx.AsyncClient) -> Person:
    return Person(Role.STUDENT, UUID((await sign_up(client)).json()["id"]))


async def _change_password(client: httpx.AsyncClient, world: World, person: Person) -> httpx.Response:
    headers = {"Authorization": f"Bearer {(await sign_in(client)).json()['access_token']}"}
    body = {"current_password": PASSWORD, "new_password": "another horse battery"}
    return await client.post("/v1/auth/password/change", json=body, headers=headers)


async def _suspend(client: httpx.AsyncClient, world: World, person: Person) -> httpx.Response:
    return await client.post(f"/v1/operator/people/{person.id}/suspend", headers=world.operator.headers)


async def _room(world: World, booking_id: UUID) -> str:
    async with AsyncSession(world.engine) as session:
        return (await session.get_one(LiveSession, booking_id)).room


@pytest.mark.parametrize("end", [_change_password, _suspend])
async def test_the_meetings_of_the_person_get_other_rooms(
    client: httpx.AsyncClient, world: World, ada: Person, end: End
) -> None:
    theirs, old = await scheduled(world, student=ada)
    others, another = await scheduled(world, 3 * HOUR)
    over, past = await scheduled(
        world, -3 * HOUR, student=ada, status=BookingStatus.COMPLETED, session_status=SessionStatus.COMPLETED
    )
    assert (await end(client, world, ada)).is_success
    assert await _room(world, theirs) != old
    assert (await _room(world, others), await _room(world, over)) == (another, past)
    joined = await client.get(f"/v1/bookings/{theirs}/join", headers=world.instructor.headers)
    assert joined.json()["room"] == await _room(world, theirs)


@pytest.mark.parametrize("end", [_change_password, _suspend])
async def test_whoever_stays_in_the_former_room_is_still_present(
    client: httpx.AsyncClient, world: World, ada: Person, end: End
) -> None:
    """Else an instructor could change their password, join the new room, and have the student taken for absent."""
    booking_id, old = await scheduled(world, student=ada)
    assert (await end(client, world, ada)).is_success
    for room in (old, await _room(world, booking_id)):
        await send(client, report("PARTICIPANT_JOINED", room, world.instructor))
    assert [event.booking_id for event in await recorded(world)] == [booking_id, booking_id]


async def test_a_sign_out_leaves_the_rooms_as_they_are(client: httpx.AsyncClient, world: World, ada: Person) -> None:
    """Somebody may sign out of another device in the middle of a session."""
    booking_id, old = await scheduled(world, student=ada)
    headers = {"Authorization": f"Bearer {(await sign_in(client)).json()['access_token']}"}
    assert (await client.post("/v1/auth/signout", headers=headers)).status_code == 204
    assert await _room(world, booking_id) == old
