"""Service tokens: creating, listing, ending them, and what they never can."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from sqlmodel import select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from models.tables.operators import Operator
from models.tables.service_tokens import ServiceToken
from tests.api.people.sign_in import PASSWORD, sign_in, sign_up
from tests.api.service_tokens import token_of
from tests.api.world import World, audited, problem

NEW = {"name": "My calendar", "scopes": ["bookings:read"]}


async def test_token_is_shown_once_and_stored_as_a_hash(client: httpx.AsyncClient, world: World) -> None:
    made = await client.post("/v1/service-tokens", json=NEW, headers=world.student.headers)
    assert (made.status_code, made.headers["Cache-Control"]) == (201, "no-store")
    token = made.json()["token"]
    listed = await client.get("/v1/service-tokens", headers=world.student.headers)
    assert listed.json()["data"] == [{name: value for name, value in made.json().items() if name != "token"}]
    async with AsyncSession(world.engine) as session:
        (row,) = (await session.exec(select(ServiceToken))).all()
    assert token not in repr(row)
    (event,) = await audited(world.engine, world.student.id)
    assert (event.action, event.detail["token_id"]) == ("person.service_token_created", made.json()["id"])


async def test_repeated_request_creates_one_token(client: httpx.AsyncClient, world: World) -> None:
    headers = world.student.headers | {"Idempotency-Key": "a key"}
    first, again = [await client.post("/v1/service-tokens", json=NEW, headers=headers) for _ in range(2)]
    assert first.json() == again.json()
    other = await client.post("/v1/service-tokens", json=NEW | {"name": "Another"}, headers=headers)
    assert problem(other) == (422, "idempotency-key-reused")


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": []},
        {"scopes": ["operator:write"]},
        {"scopes": ["everything"]},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": (datetime.now(UTC) + timedelta(days=400)).isoformat()},
        {"name": " "},
        {"spend_limit": {"amount_minor": -1, "currency": "usd"}},
    ],
)
async def test_impossible_token_is_refused(client: httpx.AsyncClient, world: World, wrong: dict[str, object]) -> None:
    answer = await client.post("/v1/service-tokens", json=NEW | wrong, headers=world.student.headers)
    assert problem(answer) == (422, "request-invalid")


async def test_only_students_have_a_spend_limit(client: httpx.AsyncClient, world: World) -> None:
    body = NEW | {"spend_limit": {"amount_minor": 1, "currency": "usd"}}
    answer = await client.post("/v1/service-tokens", json=body, headers=world.instructor.headers)
    assert problem(answer) == (422, "request-invalid")


async def test_tokens_are_their_persons(client: httpx.AsyncClient, world: World) -> None:
    made = (await client.post("/v1/service-tokens", json=NEW, headers=world.student.headers)).json()
    assert (await client.get("/v1/service-tokens", headers=world.instructor.headers)).json()["data"] == []
    revoked = await client.delete(f"/v1/service-tokens/{made['id']}", headers=world.instructor.headers)
    assert problem(revoked) == (404, "not-found")


async def revoke(client: httpx.AsyncClient, world: World) -> None:
    (token,) = (await client.get("/v1/service-tokens", headers=world.student.headers)).json()["data"]
    for _ in range(2):
        answer = await client.delete(f"/v1/service-tokens/{token['id']}", headers=world.student.headers)
        assert answer.status_code == 204


async def expire(_: httpx.AsyncClient, world: World) -> None:
    async with AsyncSession(world.engine) as session, session.begin():
        await session.exec(update(ServiceToken).values(expires_at=datetime.now(UTC)))


async def suspend_and_reinstate(client: httpx.AsyncClient, world: World) -> None:
    for order in ("suspend", "reinstate"):
        path = f"/v1/operator/people/{world.student.id}/{order}"
        assert (await client.post(path, headers=world.operator.headers)).status_code == 200


async def close(client: httpx.AsyncClient, world: World) -> None:
    assert (await client.post("/v1/me/close", headers=world.student.headers)).status_code == 204


@pytest.mark.parametrize("end", [revoke, expire, suspend_and_reinstate, close])
async def test_token_ends(
    client: httpx.AsyncClient, world: World, end: Callable[[httpx.AsyncClient, World], Awaitable[None]]
) -> None:
    headers = await token_of(client, world.student, "bookings:read")
    assert (await client.get("/v1/bookings", headers=headers)).status_code == 200
    await end(client, world)
    assert problem(await client.get("/v1/bookings", headers=headers)) == (401, "not-signed-in")


async def test_new_password_ends_service_tokens_and_a_sign_out_does_not(client: httpx.AsyncClient) -> None:
    async def headers() -> dict[str, str]:
        return {"Authorization": f"Bearer {(await sign_in(client)).json()['access_token']}"}

    await sign_up(client)
    body = NEW | {"scopes": ["me:read"]}
    token = (await client.post("/v1/service-tokens", json=body, headers=await headers())).json()["token"]
    service = {"Authorization": f"Bearer {token}"}
    assert (await client.post("/v1/auth/signout", headers=await headers())).status_code == 204
    assert (await client.get("/v1/me", headers=service)).status_code == 200
    change = {"current_password": PASSWORD, "new_password": "another one that nobody guesses"}
    assert (await client.post("/v1/auth/password/change", json=change, headers=await headers())).status_code == 204
    assert problem(await client.get("/v1/me", headers=service)) == (401, "not-signed-in")


async def test_token_of_a_revoked_operator_ends(client: httpx.AsyncClient, world: World) -> None:
    headers = await token_of(client, world.operator, "operator:read")
    assert (await client.get("/v1/operator/bookings", headers=headers)).status_code == 200
    async with AsyncSession(world.engine) as session, session.begin():
        await session.exec(update(Operator).values(revoked_at=datetime.now(UTC)))
    assert problem(await client.get("/v1/operator/bookings", headers=headers)) == (401, "not-signed-in")


async def test_unknown_token_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/bookings", headers={"Authorization": "Bearer hft_unknown"})
    assert problem(answer) == (401, "not-signed-in")


async def test_audit_trail_names_the_token(client: httpx.AsyncClient, world: World) -> None:
    headers = await token_of(client, world.instructor, "offerings:write")
    path = f"/v1/offerings/{world.offering_id}"
    assert (await client.patch(path, json={"title": "Fugue"}, headers=headers)).status_code == 200
    (event,) = await audited(world.engine, world.offering_id)
    token_id = (await client.get("/v1/service-tokens", headers=world.instructor.headers)).json()["data"][0]["id"]
    assert (event.actor_id, str(event.token_id), event.channel) == (world.instructor.id, token_id, "service")


async def test_a_token_cannot_create_another(client: httpx.AsyncClient, world: World) -> None:
    headers = await token_of(client, world.student, "bookings:read", "bookings:write", "me:read", "meetings:read")
    answer = await client.post("/v1/service-tokens", json=NEW, headers=headers)
    assert problem(answer) == (403, "scope-missing")
