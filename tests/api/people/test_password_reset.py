"""Password reset, from the request to signing in with the new password; and password change."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import httpx
import jwt
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import update
from sqlmodel.ext.asyncio.session import AsyncSession

from api.http.rate_limits import RESETS_PER_EMAIL, SIGN_INS_PER_EMAIL
from api.people.passwords import AsyncPasswordHasher
from models.domain.actors import PLATFORM, Actor, Role
from models.tables.credentials import RESET_LASTS, Credential, PasswordReset
from models.tables.outbox import OutboxMessage
from tests.api.people.mailbox import Mailbox, mailbox_of
from tests.api.people.sign_in import ADA, PASSWORD, CountingHasher, rows, sign_in, sign_up
from tests.api.world import SIGNING_KEY, World, audited, problem

NEW, NEWER = "an entirely new password", "one that is newer still"
UNKNOWN = "nobody@students.test"


@pytest.fixture
async def mailbox(engine: AsyncEngine, app: FastAPI) -> AsyncIterator[Mailbox]:
    app.state.password_hasher = AsyncPasswordHasher(CountingHasher())
    async with mailbox_of(engine, "/password-reset") as mailbox:
        yield mailbox


async def request_reset(client: httpx.AsyncClient, email: str = ADA["email"]) -> httpx.Response:
    return await client.post("/v1/auth/password-reset", json={"email": email})


async def reset(client: httpx.AsyncClient, token: str, password: str = NEW) -> httpx.Response:
    return await client.post("/v1/auth/password", json={"token": token, "password": password})


async def change(
    client: httpx.AsyncClient, headers: dict[str, str], current: str = PASSWORD, new: str = NEW
) -> httpx.Response:
    body = {"current_password": current, "new_password": new}
    return await client.post("/v1/auth/password/change", json=body, headers=headers)


async def signed_in(client: httpx.AsyncClient, password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": f"Bearer {(await sign_in(client, password=password)).json()['access_token']}"}


async def is_authenticated(client: httpx.AsyncClient, headers: dict[str, str]) -> bool:
    answer = await client.get("/v1/bookings", headers=headers)
    return answer.status_code == 200 or problem(answer) != (401, "not-signed-in")


async def test_a_reset_token_sets_a_new_password_once(
    client: httpx.AsyncClient, engine: AsyncEngine, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    person_id = UUID((await sign_up(client)).json()["id"])
    assert (await request_reset(client)).status_code == 202
    (token,) = await mailbox.tokens()
    stored = str([*await rows(engine, PasswordReset), *await rows(engine, OutboxMessage)])
    assert token not in stored
    assert (await reset(client, token)).status_code == 204
    assert (await sign_in(client)).status_code == 401
    assert (await sign_in(client, password=NEW)).status_code == 200
    assert problem(await reset(client, token, NEWER)) == (400, "mailed-token-refused")
    assert (await sign_in(client, password=NEW)).status_code == 200
    reset_mail, confirmation = await mailbox.read()
    assert reset_mail.startswith("Reset your password")
    assert confirmation.startswith("Your password was changed")
    _, *events = await audited(engine, person_id)
    by_ada = Actor(role=Role.STUDENT, id=person_id)
    assert [(each.action, Actor(role=each.actor_role, id=each.actor_id), each.channel) for each in events] == [
        ("person.password_reset_asked", PLATFORM, "api"),
        ("person.password_reset", by_ada, "api"),
    ]
    for secret in (token, NEW):
        assert secret not in caplog.text + str(events)


async def test_the_response_does_not_reveal_who_has_an_account(
    client: httpx.AsyncClient, engine: AsyncEngine, world: World, mailbox: Mailbox
) -> None:
    await sign_up(client)
    without_password = f"{world.student.id}@students.test"
    answers = [await request_reset(client, email) for email in (ADA["email"], UNKNOWN, without_password)]
    per_response = {"x-request-id", "ratelimit"}
    seen = [
        (
            answer.status_code,
            answer.content,
            {name: answer.headers[name] for name in answer.headers.keys() - per_response},
        )
        for answer in answers
    ]
    assert seen == [seen[0]] * 3
    assert seen[0][:2] == (202, b"")
    assert len(await rows(engine, OutboxMessage)) == len(await mailbox.read()) == 1


async def test_reset_requests_are_limited_per_address_known_or_not(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    await sign_up(client)
    for email in (ADA["email"], UNKNOWN):
        answers = [await request_reset(client, email) for _ in range(2 * RESETS_PER_EMAIL.requests)]
        refused = [answer for answer in answers if answer.status_code != 202]
        assert {problem(answer) for answer in refused} == {(429, "rate-limited")}
        assert {answer.json()["quota"] for answer in refused} == {RESETS_PER_EMAIL.name}


async def test_of_two_concurrent_uses_of_a_token_one_succeeds(
    client: httpx.AsyncClient, engine: AsyncEngine, mailbox: Mailbox
) -> None:
    await sign_up(client)
    await request_reset(client)
    (token,) = await mailbox.tokens()
    both = await asyncio.gather(reset(client, token, NEW), reset(client, token, NEWER))
    assert sorted(answer.status_code for answer in both) == [204, 400]
    winner, loser = (NEW, NEWER) if both[0].status_code == 204 else (NEWER, NEW)
    assert (await sign_in(client, password=winner)).status_code == 200
    assert (await sign_in(client, password=loser)).status_code == 401
    (credential,) = await rows(engine, Credential)
    assert credential.generation == 1


async def test_a_reset_token_expires_after_half_an_hour(
    client: httpx.AsyncClient, engine: AsyncEngine, mailbox: Mailbox
) -> None:
    await sign_up(client)
    await request_reset(client)
    (token,) = await mailbox.tokens()
    (stored,) = await rows(engine, PasswordReset)
    (mail,) = await rows(engine, OutboxMessage)
    assert stored.expires_at == mail.created_at + RESET_LASTS
    async with AsyncSession(engine) as session, session.begin():
        await session.exec(update(PasswordReset).values(expires_at=datetime.now(UTC)))
    assert problem(await reset(client, token)) == (400, "mailed-token-refused")
    assert (await sign_in(client)).status_code == 200


async def test_an_expired_reset_mail_is_not_sent(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    await sign_up(client)
    await request_reset(client)
    assert await mailbox.tokens(datetime.now(UTC) + RESET_LASTS) == []


async def test_a_new_password_invalidates_all_older_tokens(
    client: httpx.AsyncClient, engine: AsyncEngine, mailbox: Mailbox
) -> None:
    await sign_up(client)
    await request_reset(client)
    await request_reset(client)
    first, second = await mailbox.tokens()
    # The mail of a third request is still in the outbox when the first token is used.
    await request_reset(client)
    before = await signed_in(client)
    assert await is_authenticated(client, before)
    assert (await reset(client, first)).status_code == 204
    assert not await is_authenticated(client, before)
    # Valid even within the same second: tokens carry a generation, and are not compared by time.
    after = await signed_in(client, NEW)
    assert await is_authenticated(client, after)
    assert await rows(engine, PasswordReset) == []
    *_, late = await mailbox.tokens()
    assert late not in (first, second)
    for token in (second, late):
        assert problem(await reset(client, token, NEWER)) == (400, "mailed-token-refused")
    assert await is_authenticated(client, after)


async def test_password_change_requires_the_current_password(
    client: httpx.AsyncClient, engine: AsyncEngine, mailbox: Mailbox
) -> None:
    person_id = UUID((await sign_up(client, role="instructor")).json()["id"])
    before = await signed_in(client)
    await request_reset(client)
    (token,) = await mailbox.tokens()
    assert problem(await change(client, before, current=NEW)) == (403, "password-wrong")
    assert (await change(client, before)).status_code == 204
    assert not await is_authenticated(client, before)
    assert await is_authenticated(client, await signed_in(client, NEW))
    assert problem(await reset(client, token, NEWER)) == (400, "mailed-token-refused")
    assert (await mailbox.read())[-1].startswith("Your password was changed")
    *_, event = await audited(engine, person_id)
    assert (event.action, event.actor_role, event.actor_id) == ("person.password_changed", Role.INSTRUCTOR, person_id)


async def test_guesses_at_the_current_password_are_limited(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    await sign_up(client)
    headers = await signed_in(client)
    answers = [await change(client, headers, current=NEW) for _ in range(2 * SIGN_INS_PER_EMAIL.requests)]
    assert {answer.status_code for answer in answers} == {403, 429}
    assert problem(await sign_in(client)) == (429, "rate-limited")
    await request_reset(client)
    (token,) = await mailbox.tokens()
    assert (await reset(client, token)).status_code == 204
    assert (await sign_in(client, password=NEW)).status_code == 200


@pytest.mark.parametrize("password", ["fourteen chars", "aaaaaaaaaaaaaaaa", "Ada Lovelace of London"])
async def test_a_new_password_that_is_not_allowed_is_refused_and_does_not_use_up_the_token(
    client: httpx.AsyncClient, mailbox: Mailbox, password: str
) -> None:
    await sign_up(client, name="Ada Lovelace of London")
    await request_reset(client)
    (token,) = await mailbox.tokens()
    refused = [await reset(client, token, password), await change(client, await signed_in(client), new=password)]
    for answer in refused:
        assert problem(answer) == (422, "request-invalid")
        assert answer.json()["errors"][0]["why"].startswith("password must")
        assert password not in answer.text
    assert (await reset(client, token)).status_code == 204


async def test_a_token_without_a_generation_counts_as_the_first(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    await sign_up(client)
    headers = await signed_in(client)
    claims = jwt.decode(headers["Authorization"].split()[1], options={"verify_signature": False})
    del claims["generation"]
    older = {"Authorization": f"Bearer {jwt.encode(claims, SIGNING_KEY, algorithm='HS256')}"}
    assert await is_authenticated(client, older)
    assert (await change(client, older)).status_code == 204
    assert not await is_authenticated(client, older)
