"""A student's address is verified from the mailed link before the first booking, where the platform wants that."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import update
from sqlmodel.ext.asyncio.session import AsyncSession

from api.http.rate_limits import VERIFICATION_MAILS
from api.people.passwords import AsyncPasswordHasher
from api.settings import HttpSettings
from models.settings import Environment
from models.tables.credentials import VERIFICATION_LASTS, AddressVerification
from models.tables.outbox import OutboxMessage
from models.tables.people import Student
from tests.api.people.mailbox import Mailbox, mailbox_of
from tests.api.people.sign_in import ADA, CountingHasher, rows, sign_in, sign_up
from tests.api.world import PUBLIC_URL, SIGNING_KEY, World, audited, problem

BOOKABLE = (503, "unavailable")
"""Temporal is down: the booking was not refused."""


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    """With verification, as in production."""
    app.state.settings.http.holdfast_verify_addresses = True
    app.state.password_hasher = AsyncPasswordHasher(CountingHasher())
    return app


@pytest.fixture
async def mailbox(engine: AsyncEngine) -> AsyncIterator[Mailbox]:
    async with mailbox_of(engine, "/verify") as mailbox:
        yield mailbox


async def signed_in(client: httpx.AsyncClient) -> dict[str, str]:
    return {"Authorization": f"Bearer {(await sign_in(client)).json()['access_token']}"}


async def book(client: httpx.AsyncClient, headers: dict[str, str], slot_id: UUID, **more: Any) -> httpx.Response:
    body = {"slot_id": str(slot_id)} | more
    return await client.post("/v1/bookings", json=body, headers=headers | {"Idempotency-Key": "k"})


async def verify(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/v1/auth/verify", json={"token": token})


async def ask(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    return await client.post("/v1/auth/verification", headers=headers)


async def test_the_first_booking_needs_a_verified_address(
    client: httpx.AsyncClient, engine: AsyncEngine, world: World, mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    person_id, slot_id = UUID((await sign_up(client)).json()["id"]), await world.slot()
    headers = await signed_in(client)
    refused = await book(client, headers, slot_id)
    assert problem(refused) == (403, "address-not-verified")
    assert "/v1/auth/verification" in refused.json()["detail"]
    (token,) = await mailbox.tokens()
    assert token not in str([*await rows(engine, AddressVerification), *await rows(engine, OutboxMessage)])
    assert (await verify(client, token)).status_code == 204
    assert problem(await book(client, headers, slot_id)) == BOOKABLE
    assert await rows(engine, AddressVerification) == []
    events = await audited(engine, person_id)
    assert [event.action for event in events] == [
        "person.signed_up",
        "person.verification_requested",
        "person.address_verified",
    ]
    assert token not in caplog.text + str(events)


async def test_the_mail_has_no_name(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    await sign_up(client, name="Buy cheap watches")
    await mailbox.tokens()
    (mail,) = mailbox.server.mails
    assert mail.header("Subject") == "Confirm your email address"
    assert mail.header("To") == ADA["email"]
    for kind in ("plain", "html"):
        assert "Hello," in str(mail.body(kind))
        assert "watches" not in str(mail.body(kind))


async def test_a_token_works_once_even_if_used_twice_at_once(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    await sign_up(client)
    await ask(client, await signed_in(client))
    first, second = await mailbox.tokens()
    both = await asyncio.gather(verify(client, first), verify(client, first))
    assert sorted(answer.status_code for answer in both) == [204, 400]
    for token in (first, second, "unknown"):
        assert problem(await verify(client, token)) == (400, "mailed-token-refused")


async def test_a_token_expires(client: httpx.AsyncClient, engine: AsyncEngine, mailbox: Mailbox) -> None:
    await sign_up(client)
    (token,) = await mailbox.tokens()
    (stored,) = await rows(engine, AddressVerification)
    (mail,) = await rows(engine, OutboxMessage)
    assert stored.expires_at == mail.created_at + VERIFICATION_LASTS
    async with AsyncSession(engine) as session, session.begin():
        await session.exec(update(AddressVerification).values(expires_at=datetime.now(UTC)))
    assert problem(await verify(client, token)) == (400, "mailed-token-refused")
    assert (await ask(client, await signed_in(client))).status_code == 202
    *_, token = await mailbox.tokens()
    assert (await verify(client, token)).status_code == 204


async def test_an_expired_mail_is_not_sent(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    await sign_up(client)
    assert await mailbox.tokens(datetime.now(UTC) + VERIFICATION_LASTS) == []


async def test_mails_are_limited_per_student(client: httpx.AsyncClient, engine: AsyncEngine, mailbox: Mailbox) -> None:
    await sign_up(client)
    headers = await signed_in(client)
    answers = [await ask(client, headers) for _ in range(VERIFICATION_MAILS.requests + 2)]
    assert [answer.status_code for answer in answers] == [202] * VERIFICATION_MAILS.requests + [429] * 2
    assert answers[-1].json()["quota"] == VERIFICATION_MAILS.name
    assert len(await rows(engine, OutboxMessage)) == 1 + VERIFICATION_MAILS.requests


async def test_a_verified_student_gets_no_more_mails(client: httpx.AsyncClient, mailbox: Mailbox) -> None:
    await sign_up(client)
    (token,) = await mailbox.tokens()
    await verify(client, token)
    assert (await ask(client, await signed_in(client))).status_code == 202
    assert await mailbox.tokens() == [token]


async def test_instructors_and_platforms_without_verification_get_none(
    app: FastAPI, client: httpx.AsyncClient, engine: AsyncEngine, world: World
) -> None:
    await sign_up(client, role="instructor", email="nadia@instructors.test")
    app.state.settings.http.holdfast_verify_addresses = False
    await sign_up(client)
    assert await rows(engine, OutboxMessage) == []
    ada = [student for student in await rows(engine, Student) if student.email == ADA["email"]]
    assert ada[0].email_verified_at is None
    assert problem(await book(client, await signed_in(client), await world.slot())) == BOOKABLE


@pytest.mark.parametrize(
    ("environment", "chosen", "expected"),
    [
        (Environment.PRODUCTION, None, True),
        (Environment.DEVELOPMENT, None, False),
        (Environment.DEVELOPMENT, True, True),
        (Environment.PRODUCTION, False, False),
    ],
)
def test_addresses_are_verified_in_production_unless_said_otherwise(
    environment: Environment, chosen: bool | None, expected: bool
) -> None:
    http = HttpSettings(
        holdfast_token_secret=SecretStr(SIGNING_KEY),
        stripe_webhook_secret=SecretStr("whsec_1"),
        stripe_connect_webhook_secret=SecretStr("whsec_2"),
        holdfast_public_url=PUBLIC_URL,
        holdfast_env=environment,
        holdfast_verify_addresses=chosen,
    )
    assert http.verifies_addresses is expected
