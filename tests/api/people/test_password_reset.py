"""A forgotten password, from asking for a mail to signing in with a new one; and changing one that is known."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import httpx
import jwt
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import update
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.mail.sender import MailSender
from activities.mail.smtp import Smtp
from api.http.rate_limits import RESETS_OF_MAIL, SIGN_INS_OF_MAIL
from api.people.passwords import Passwords
from models.documents.issuer import Issuer
from models.domain.actors import PLATFORM, Actor, Role
from models.session_calendar import Party
from models.tables.credentials import RESET_LASTS, Credential, PasswordReset
from models.tables.outbox import OutboxMessage
from tests.api.people.test_routes import ADA, PASSWORD, Counting, rows, sign_in, sign_up
from tests.api.world import PUBLIC_URL, SIGNING_KEY, World, audited, problem
from tests.mailbox import MailServer

NEW, NEWER = "an entirely new password", "one that is newer still"
UNKNOWN = "nobody@students.test"


@dataclass(frozen=True)
class Mailbox:
    """Ada's, with the sender that fills it."""

    server: MailServer
    sender: MailSender

    async def read(self, now: datetime | None = None) -> list[str]:
        """All that has come, once everything is sent that is due: subject and text."""
        while await self.sender.send_due(now or datetime.now(UTC)):
            pass
        return [f"{mail.header('Subject')}\n{mail.body('plain')}" for mail in self.server.mails]

    async def tokens(self, now: datetime | None = None) -> list[str]:
        return re.findall(rf"{PUBLIC_URL}/password-reset#(\S+)", "\n".join(await self.read(now)))


@pytest.fixture
async def mailbox(engine: AsyncEngine, app: FastAPI) -> AsyncIterator[Mailbox]:
    app.state.passwords = Passwords(Counting())
    server = MailServer()
    post = Smtp(server.settings)
    sender = MailSender(engine, post, Party("Holdfast", "post@holdfast.example"), PUBLIC_URL, Issuer("Holdfast"))
    async with server.there():
        yield Mailbox(server, sender)


async def forgotten(client: httpx.AsyncClient, email: str = ADA["email"]) -> httpx.Response:
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


async def is_let_in(client: httpx.AsyncClient, headers: dict[str, str]) -> bool:
    answer = await client.get("/v1/bookings", headers=headers)
    return answer.status_code == 200 or problem(answer) != (401, "not-signed-in")


async def test_a_forgotten_password_is_replaced_by_mail_once(
    client: httpx.AsyncClient, engine: AsyncEngine, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    person_id = UUID((await sign_up(client)).json()["id"])
    assert (await forgotten(client)).status_code == 202
    (token,) = await mailbox.tokens()
    kept = str([*await rows(engine, PasswordReset), *await rows(engine, OutboxMessage)])
    assert token not in kept
    assert (await reset(client, token)).status_code == 204
    assert (await sign_in(client)).status_code == 401
    assert (await sign_in(client, password=NEW)).status_code == 200
    assert problem(await reset(client, token, NEWER)) == (400, "mailed-token-refused")
    assert (await sign_in(client, password=NEW)).status_code == 200
    asked, told = await mailbox.read()
    assert asked.startswith("Choose a new password")
    assert told.startswith("Your password was changed")
    _, *events = await audited(engine, person_id)
    by_ada = Actor(role=Role.STUDENT, id=person_id)
    assert [(each.action, Actor(role=each.actor_role, id=each.actor_id), each.channel) for each in events] == [
        ("person.password_reset_asked", PLATFORM, "api"),
        ("person.password_reset", by_ada, "api"),
    ]
    for secret in (token, NEW):
        assert secret not in caplog.text + str(events)


async def test_nobody_learns_who_has_an_account(
    client: httpx.AsyncClient, engine: AsyncEngine, world: World, mailbox: Mailbox
) -> None:
    await sign_up(client)
    without_password = f"{world.student.id}@students.test"
    answers = [await forgotten(client, email) for email in (ADA["email"], UNKNOWN, without_password)]
    own = {"x-request-id", "ratelimit"}
    seen = [
        (answer.status_code, answer.content, {name: answer.headers[name] for name in answer.headers.keys() - own})
        for answer in answers
    ]
    assert seen == [seen[0]] * 3
    assert seen[0][:2] == (202, b"")
    assert len(await rows(engine, OutboxMessage)) == len(await mailbox.read()) == 1


async def test_a_mailbox_is_not_filled_whether_it_is_known_or_not(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    await sign_up(client)
    for email in (ADA["email"], UNKNOWN):
        answers = [await forgotten(client, email) for _ in range(2 * RESETS_OF_MAIL.requests)]
        refused = [answer for answer in answers if answer.status_code != 202]
        assert {problem(answer) for answer in refused} == {(429, "rate-limited")}
        assert {answer.json()["quota"] for answer in refused} == {RESETS_OF_MAIL.name}


async def test_of_two_who_use_a_token_at_once_one_sets_the_password(
    client: httpx.AsyncClient, engine: AsyncEngine, mailbox: Mailbox
) -> None:
    await sign_up(client)
    await forgotten(client)
    (token,) = await mailbox.tokens()
    both = await asyncio.gather(reset(client, token, NEW), reset(client, token, NEWER))
    assert sorted(answer.status_code for answer in both) == [204, 400]
    set_one, other = (NEW, NEWER) if both[0].status_code == 204 else (NEWER, NEW)
    assert (await sign_in(client, password=set_one)).status_code == 200
    assert (await sign_in(client, password=other)).status_code == 401
    (credential,) = await rows(engine, Credential)
    assert credential.generation == 1


async def test_a_token_is_good_for_half_an_hour(
    client: httpx.AsyncClient, engine: AsyncEngine, mailbox: Mailbox
) -> None:
    await sign_up(client)
    await forgotten(client)
    (token,) = await mailbox.tokens()
    (kept,) = await rows(engine, PasswordReset)
    (asked,) = await rows(engine, OutboxMessage)
    assert kept.expires_at == asked.created_at + RESET_LASTS
    async with AsyncSession(engine) as session, session.begin():
        await session.exec(update(PasswordReset).values(expires_at=datetime.now(UTC)))
    assert problem(await reset(client, token)) == (400, "mailed-token-refused")
    assert (await sign_in(client)).status_code == 200


async def test_a_mail_that_waited_too_long_is_not_sent(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    await sign_up(client)
    await forgotten(client)
    assert await mailbox.tokens(datetime.now(UTC) + RESET_LASTS) == []


async def test_a_new_password_ends_every_token_from_before_it(
    client: httpx.AsyncClient, engine: AsyncEngine, mailbox: Mailbox
) -> None:
    await sign_up(client)
    await forgotten(client)
    await forgotten(client)
    first, second = await mailbox.tokens()
    # A third is asked for, and its mail is still to be sent when the first is used.
    await forgotten(client)
    before = await signed_in(client)
    assert await is_let_in(client, before)
    assert (await reset(client, first)).status_code == 204
    assert not await is_let_in(client, before)
    # However short the time between: it is not the clock that tells them apart.
    after = await signed_in(client, NEW)
    assert await is_let_in(client, after)
    assert await rows(engine, PasswordReset) == []
    *_, late = await mailbox.tokens()
    assert late not in (first, second)
    for token in (second, late):
        assert problem(await reset(client, token, NEWER)) == (400, "mailed-token-refused")
    assert await is_let_in(client, after)


async def test_who_is_signed_in_changes_the_password_with_the_old_one(
    client: httpx.AsyncClient, engine: AsyncEngine, mailbox: Mailbox
) -> None:
    person_id = UUID((await sign_up(client, role="instructor")).json()["id"])
    before = await signed_in(client)
    await forgotten(client)
    (token,) = await mailbox.tokens()
    assert problem(await change(client, before, current=NEW)) == (403, "password-wrong")
    assert (await change(client, before)).status_code == 204
    assert not await is_let_in(client, before)
    assert await is_let_in(client, await signed_in(client, NEW))
    assert problem(await reset(client, token, NEWER)) == (400, "mailed-token-refused")
    assert (await mailbox.read())[-1].startswith("Your password was changed")
    *_, event = await audited(engine, person_id)
    assert (event.action, event.actor_role, event.actor_id) == ("person.password_changed", Role.INSTRUCTOR, person_id)


async def test_the_current_password_cannot_be_guessed_at_for_ever(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    await sign_up(client)
    headers = await signed_in(client)
    answers = [await change(client, headers, current=NEW) for _ in range(2 * SIGN_INS_OF_MAIL.requests)]
    assert {answer.status_code for answer in answers} == {403, 429}
    assert problem(await sign_in(client)) == (429, "rate-limited")
    await forgotten(client)
    (token,) = await mailbox.tokens()
    assert (await reset(client, token)).status_code == 204
    assert (await sign_in(client, password=NEW)).status_code == 200


@pytest.mark.parametrize("password", ["fourteen chars", "aaaaaaaaaaaaaaaa", "Ada Lovelace of London"])
async def test_a_new_password_is_taken_by_the_rules_of_sign_up_and_a_refused_one_uses_no_token_up(
    client: httpx.AsyncClient, mailbox: Mailbox, password: str
) -> None:
    await sign_up(client, name="Ada Lovelace of London")
    await forgotten(client)
    (token,) = await mailbox.tokens()
    refused = [await reset(client, token, password), await change(client, await signed_in(client), new=password)]
    for answer in refused:
        assert problem(answer) == (422, "request-invalid")
        assert answer.json()["errors"][0]["why"].startswith("password must")
        assert password not in answer.text
    assert (await reset(client, token)).status_code == 204


async def test_a_token_from_before_there_were_generations_is_of_the_first(
    client: httpx.AsyncClient, mailbox: Mailbox
) -> None:
    await sign_up(client)
    headers = await signed_in(client)
    claims = jwt.decode(headers["Authorization"].split()[1], options={"verify_signature": False})
    del claims["generation"]
    older = {"Authorization": f"Bearer {jwt.encode(claims, SIGNING_KEY, algorithm='HS256')}"}
    assert await is_let_in(client, older)
    assert (await change(client, older)).status_code == 204
    assert not await is_let_in(client, older)
