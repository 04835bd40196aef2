"""One's own account: settings, both roles, sign-out and closure."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.mail import notifications
from activities.mail.content import MailDiscarded
from api.people.passwords import AsyncPasswordHasher
from models.domain.actors import Role
from models.domain.states import BookingStatus
from models.tables.catalogue import Offering
from models.tables.credentials import AddressVerification, PasswordReset
from models.tables.outbox import OutboxMessage
from models.tables.people import Instructor, Student
from tests.api.people.mailbox import mailbox_of
from tests.api.people.sign_in import ADA, CountingHasher, rows, sign_in, sign_up
from tests.api.world import JSON, Person, World, audited, book, problem

NEW_OFFERING = {"title": "Fugue", "price": {"amount_minor": 10_000, "currency": "usd"}, "duration_minutes": 60}
Headers = dict[str, str]


@pytest.fixture(autouse=True)
def hasher(app: FastAPI) -> None:
    app.state.password_hasher = AsyncPasswordHasher(CountingHasher())


async def signed_up(client: httpx.AsyncClient, **changed: Any) -> tuple[UUID, Headers]:
    answer = await sign_up(client, **changed)
    assert answer.status_code == 201, answer.text
    return UUID(answer.json()["id"]), await signed_in(client)


async def signed_in(client: httpx.AsyncClient, **fields: Any) -> Headers:
    answer = await client.post("/v1/auth/token", json={"email": ADA["email"], "password": ADA["password"]} | fields)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


async def both(client: httpx.AsyncClient) -> tuple[UUID, Headers, Headers]:
    """A person with both roles: their id, and a token of each."""
    id, as_student = await signed_up(client)
    answer = await client.post("/v1/me/roles", json={"role": "instructor"}, headers=as_student)
    assert answer.status_code == 200, answer.text
    return id, as_student, await signed_in(client, role="instructor")


async def test_an_account_is_read_and_changed(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    id, headers = await signed_up(client, language="de-at")
    shown: JSON = (await client.get("/v1/me", headers=headers)).json()
    assert {name: shown[name] for name in ("id", "role", "roles", "email", "name", "time_zone", "language")} == {
        "id": str(id),
        "role": "student",
        "roles": ["student"],
        "email": ADA["email"],
        "name": "Ada",
        "time_zone": "UTC",
        "language": "de-AT",
    }
    change = {"name": "Ada Byron", "time_zone": "Europe/London", "language": "en-GB"}
    answer = await client.patch("/v1/me", json=change, headers=headers)
    assert answer.json() == shown | change == (await client.get("/v1/me", headers=headers)).json()
    assert (await client.patch("/v1/me", json={"name": "Ada Byron"}, headers=headers)).status_code == 200
    assert [(event.action, event.detail) for event in await audited(engine, id)] == [
        ("person.signed_up", {}),
        ("person.changed", {"fields": ["language", "name", "time_zone"]}),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"name": None},
        {"name": " "},
        {"name": "https://evil.test"},
        {"time_zone": "Mars/Olympus"},
        {"language": "english"},
        {"language": "d"},
        {"email": "new@students.test"},
        {"role": "operator"},
    ],
)
async def test_an_invalid_change_of_the_account_is_refused(client: httpx.AsyncClient, change: JSON) -> None:
    _, headers = await signed_up(client)
    assert problem(await client.patch("/v1/me", json=change, headers=headers)) == (422, "request-invalid")


async def test_a_language_without_a_catalogue_is_refused_with_those_that_there_are(client: httpx.AsyncClient) -> None:
    _, headers = await signed_up(client)
    changed = await client.patch("/v1/me", json={"language": "fr-CA"}, headers=headers)
    signed = await client.post("/v1/auth/signup", json=ADA | {"email": "f@students.test", "language": "fr"})
    for answer in (changed, signed):
        assert problem(answer) == (422, "request-invalid")
        (error,) = answer.json()["errors"]
        assert error["where"] == "body/language"
        assert error["why"].endswith("is not a language that emails are written in; there are: de, en")


async def test_a_token_without_an_account_has_none_to_show(client: httpx.AsyncClient) -> None:
    assert problem(await client.get("/v1/me", headers=Person(Role.STUDENT).headers)) == (403, "no-account")


async def test_one_account_has_both_roles_and_a_token_one_of_them(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    id, as_student, as_instructor = await both(client)
    for headers, role in ((as_student, "student"), (as_instructor, "instructor")):
        shown = (await client.get("/v1/me", headers=headers)).json()
        assert (shown["id"], shown["role"], shown["roles"]) == (str(id), role, ["student", "instructor"])
    assert (await client.get("/v1/instructors/me", headers=as_instructor)).json()["email"] == ADA["email"]
    assert problem(await client.get("/v1/instructors/me", headers=as_student)) == (403, "wrong-role")
    again = await client.post("/v1/me/roles", json={"role": "instructor"}, headers=as_student)
    assert again.status_code == 200
    actions = [(event.action, event.actor_role) for event in await audited(engine, id)]
    assert actions == [("person.signed_up", Role.STUDENT), ("person.role_added", Role.STUDENT)]
    await client.patch("/v1/me", json={"name": "Countess"}, headers=as_instructor)
    assert [person.name for table in (Student, Instructor) for person in await rows(engine, table)] == ["Countess"] * 2


async def test_a_sign_in_for_a_role_that_the_account_does_not_have_is_refused(client: httpx.AsyncClient) -> None:
    await signed_up(client)
    refused = {"email": ADA["email"], "password": ADA["password"], "role": "instructor"}
    assert problem(await client.post("/v1/auth/token", json=refused)) == (403, "wrong-role")
    wrong = refused | {"password": "not the right password"}
    assert problem(await client.post("/v1/auth/token", json=wrong)) == (401, "sign-in-refused")


async def test_nobody_books_their_own_offering(client: httpx.AsyncClient, world: World, engine: AsyncEngine) -> None:
    await world.add(
        Student(id=world.instructor.id, email="nadia@students.test", name="Nadia", created_at=datetime.now(UTC))
    )
    answer = await book(client, Person(Role.STUDENT, world.instructor.id), await world.slot())
    assert problem(answer) == (409, "own-offering")


async def test_signing_out_ends_every_token_of_the_account(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    id, first, as_instructor = await both(client)
    second = await signed_in(client)
    answer = await client.post("/v1/auth/signout", headers=second)
    assert (answer.status_code, answer.content) == (204, b"")
    for headers in (first, second, as_instructor):
        assert problem(await client.get("/v1/me", headers=headers)) == (401, "not-signed-in")
    event = (await audited(engine, id))[-1]
    assert (event.action, event.actor_role, event.actor_id) == ("person.signed_out", Role.STUDENT, id)
    assert (await client.get("/v1/me", headers=await signed_in(client))).status_code == 200


@pytest.mark.parametrize("status", [BookingStatus.PENDING, BookingStatus.ACCEPTED])
async def test_an_account_with_an_open_booking_is_not_closed(
    client: httpx.AsyncClient, world: World, status: BookingStatus
) -> None:
    booking_id = await world.booking(status=status)
    for person in (world.student, world.instructor):
        assert problem(await client.post("/v1/me/close", headers=person.headers)) == (409, "bookings-open")
        assert (await client.get("/v1/me", headers=person.headers)).status_code == 200
    await world.set(booking_id, status=BookingStatus.CANCELLED)
    for person in (world.student, world.instructor):
        assert (await client.post("/v1/me/close", headers=person.headers)).status_code == 204


async def test_closing_an_account_erases_personal_data_and_keeps_the_books(
    client: httpx.AsyncClient, engine: AsyncEngine, world: World
) -> None:
    id, as_student, as_instructor = await both(client)
    offering = await client.post(
        "/v1/offerings", json=NEW_OFFERING | {"description": "Call Ada."}, headers=as_instructor
    )
    booking_id = await world.booking(student=Person(Role.STUDENT, id), status=BookingStatus.COMPLETED)
    assert (await client.post("/v1/me/close", headers=as_student)).status_code == 204

    (kept,) = [row for row in await rows(engine, Offering) if str(row.id) == offering.json()["id"]]
    assert (kept.is_active, kept.description) == (False, "")
    seen = await client.get(f"/v1/bookings/{booking_id}", headers=world.instructor.headers)
    assert seen.json()["student_id"] == str(id)
    assert problem(await client.get(f"/v1/instructors/{id}")) == (404, "not-found")
    event = (await audited(engine, id))[-1]
    assert (event.action, event.detail) == ("person.closed", {"offering_ids": [offering.json()["id"]]})


async def test_after_closing_no_table_has_the_persons_name_address_or_mailed_tokens(
    client: httpx.AsyncClient, engine: AsyncEngine, world: World
) -> None:
    """Whatever the tables are: a new one with personal data fails here, if what fills it is played below."""
    person = {"email": "zephyrine@students.test", "name": "Zephyrine"}
    async with mailbox_of(engine, "/verify") as mailbox:
        id = UUID((await sign_up(client, **person)).json()["id"])
        headers = await signed_in(client, email=person["email"])
        await client.post("/v1/me/roles", json={"role": "instructor"}, headers=headers)
        as_instructor = await signed_in(client, email=person["email"], role="instructor")
        described = NEW_OFFERING | {"description": "Write to zephyrine@students.test, asks Zephyrine."}
        await client.post("/v1/offerings", json=described, headers=as_instructor)
        await world.booking(student=Person(Role.STUDENT, id), status=BookingStatus.COMPLETED)
        await client.patch("/v1/me", json={"time_zone": "Asia/Tokyo"}, headers=headers)
        await client.post("/v1/auth/verification", headers=headers)
        await client.post("/v1/auth/password-reset", json={"email": person["email"]})
        assert len(await mailbox.tokens()) == 1
    before = await _rows_with(engine, "zephyrine")
    assert {"student", "instructor", "credential", "offering"} <= before.keys()
    assert await rows(engine, AddressVerification)
    assert await rows(engine, PasswordReset)

    assert (await client.post("/v1/me/close", headers=headers)).status_code == 204
    assert await _rows_with(engine, "zephyrine") == {}
    assert not [*await rows(engine, AddressVerification), *await rows(engine, PasswordReset)]


async def _rows_with(engine: AsyncEngine, word: str) -> dict[str, int]:
    """How many rows of each table have the word in any of their columns."""
    found = {}
    async with engine.connect() as connection:
        for name in SQLModel.metadata.tables:
            statement = text(f'SELECT count(*) FROM "{name}" AS row WHERE row::text ILIKE :word')  # noqa: S608
            if count := (await connection.execute(statement, {"word": f"%{word}%"})).scalar_one():
                found[name] = count
    return found


async def test_after_closing_no_token_works_and_the_address_is_free(client: httpx.AsyncClient, world: World) -> None:
    id, *tokens = await both(client)
    assert (await client.post("/v1/me/close", headers=tokens[0])).status_code == 204
    for headers in (*tokens, Person(Role.STUDENT, id).headers):
        assert problem(await client.get("/v1/me", headers=headers)) == (401, "not-signed-in")
    assert problem(await sign_in(client)) == (401, "sign-in-refused")
    other, headers = await signed_up(client)
    assert other != id
    assert (await client.get("/v1/me", headers=headers)).status_code == 200


async def test_a_closed_account_gets_no_mail(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    id, headers = await signed_up(client)
    await client.post("/v1/auth/password-reset", json={"email": ADA["email"]})
    await client.post("/v1/me/close", headers=headers)
    async with AsyncSession(engine) as session:
        (message,) = await session.exec(select(OutboxMessage).where(col(OutboxMessage.recipient_id) == id))
        with pytest.raises(MailDiscarded, match="account_closed"):
            await notifications.load(session, message, "https://holdfast.test", datetime.now(UTC))


async def test_of_concurrent_closures_one_succeeds(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    id, headers = await signed_up(client)
    answers = await asyncio.gather(*(client.post("/v1/me/close", headers=headers) for _ in range(4)))
    assert [answer.status_code for answer in answers].count(204) == 1
    assert {answer.status_code for answer in answers} <= {204, 401, 403}
    assert [event.action for event in await audited(engine, id)].count("person.closed") == 1
