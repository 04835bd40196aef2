import asyncio
import json
import unicodedata
from datetime import timedelta
from uuid import UUID

import httpx
import jwt
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from api.http.auth import Caller, read_token
from api.people.passwords import MAX_BYTES, AsyncPasswordHasher
from models.domain.actors import Role
from models.tables.credentials import Credential
from models.tables.people import Instructor, Student
from tests.api.people.sign_in import ADA, PASSWORD, CountingHasher, rows, sign_in, sign_up
from tests.api.world import JSON, SIGNING_KEY, World, problem, said

UMLAUTS = "höchst unwahrscheinlich"


@pytest.fixture
def hasher(app: FastAPI) -> CountingHasher:
    hasher = CountingHasher()
    app.state.password_hasher = AsyncPasswordHasher(hasher)
    return hasher


pytestmark = pytest.mark.usefixtures("hasher")


@pytest.mark.parametrize(("role", "table"), [("student", Student), ("instructor", Instructor)])
async def test_sign_up_then_sign_in(
    client: httpx.AsyncClient, engine: AsyncEngine, role: str, table: type[Student] | type[Instructor]
) -> None:
    answer = await sign_up(client, role=role, time_zone="Europe/Berlin")
    assert answer.status_code == 201, answer.text
    account: JSON = answer.json()
    assert set(account) == {"id", "role", "roles", "email", "name", "time_zone", "language", "created_at"}
    (person,) = await rows(engine, table)
    assert (str(person.id), person.email, person.time_zone) == (account["id"], ADA["email"], "Europe/Berlin")
    token = await sign_in(client)
    assert token.status_code == 200
    assert token.json()["expires_in"] == 3600
    assert set(token.json()) == {"access_token", "token_type", "expires_in"}
    assert read_token(SIGNING_KEY, token.json()["access_token"]) == Caller(Role(role), UUID(account["id"]))
    listed = await client.get("/v1/bookings", headers={"Authorization": f"Bearer {token.json()['access_token']}"})
    assert listed.status_code == 200


async def test_a_new_instructor_cannot_be_paid_yet(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    await sign_up(client, role="instructor")
    (instructor,) = await rows(engine, Instructor)
    assert instructor.stripe_account_id is None
    assert not instructor.can_be_paid


async def test_token_lifetime_is_a_setting(client: httpx.AsyncClient, app: FastAPI) -> None:
    app.state.settings.http.holdfast_token_lifetime = timedelta(minutes=5)
    await sign_up(client)
    token = (await sign_in(client)).json()
    claims = jwt.decode(token["access_token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == token["expires_in"] == 300


async def test_only_an_argon2id_hash_of_the_password_is_stored(client: httpx.AsyncClient, engine: AsyncEngine) -> None:
    answer = await sign_up(client)
    (credential,) = await rows(engine, Credential)
    assert credential.password_hash.startswith("$argon2id$")
    assert PASSWORD not in credential.password_hash + answer.text


@pytest.mark.parametrize("role", ["operator", "platform", "Student", "", None])
async def test_sign_up_with_any_other_role_is_refused(client: httpx.AsyncClient, role: str | None) -> None:
    assert problem(await sign_up(client, role=role)) == (422, "request-invalid")


@pytest.mark.parametrize("email", ["ada@students.test", "ADA@Students.Test", " ada@students.test "])
@pytest.mark.parametrize("role", ["student", "instructor"])
async def test_an_address_is_unique_across_roles_and_spellings(
    client: httpx.AsyncClient, engine: AsyncEngine, email: str, role: str
) -> None:
    assert (await sign_up(client)).status_code == 201
    assert problem(await sign_up(client, email=email, role=role)) == (409, "email-taken")
    assert len(await rows(engine, Student)) + len(await rows(engine, Instructor)) == 1
    assert len(await rows(engine, Credential)) == 1


@pytest.mark.parametrize("email", ["ada@Bücher.Test", "ada@xn--bcher-kva.test", "ada@bu\u0308cher。test"])
async def test_an_internationalized_domain_is_one_domain_however_it_is_written(
    client: httpx.AsyncClient, engine: AsyncEngine, email: str
) -> None:
    assert (await sign_up(client, email="ada@bücher.test")).json()["email"] == "ada@xn--bcher-kva.test"
    assert problem(await sign_up(client, email=email)) == (409, "email-taken")
    assert (await sign_in(client, email)).status_code == 200


async def test_sign_up_does_not_take_over_a_person_without_a_password(
    client: httpx.AsyncClient, engine: AsyncEngine, world: World
) -> None:
    email = f"{world.instructor.id}@instructors.test"
    assert problem(await sign_up(client, email=email)) == (409, "email-taken")
    assert await rows(engine, Credential) == []


async def test_of_concurrent_sign_ups_with_one_address_one_succeeds(
    client: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    roles = ["student", "instructor"] * 4
    answers = await asyncio.gather(*(sign_up(client, role=role) for role in roles))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 7
    assert len(await rows(engine, Student)) + len(await rows(engine, Instructor)) == 1


async def test_an_unknown_address_and_a_wrong_password_are_indistinguishable(
    client: httpx.AsyncClient, hasher: CountingHasher
) -> None:
    await sign_up(client)
    answers, verifications = [], []
    for email, password in ((ADA["email"], "not the right password"), ("bob@students.test", PASSWORD)):
        before = hasher.verified
        answers.append(await sign_in(client, email, password))
        verifications.append(hasher.verified - before)
    assert [problem(answer) for answer in answers] == [(401, "sign-in-refused")] * 2
    assert said(answers[0]) == said(answers[1])
    assert verifications == [1, 1]


async def test_the_address_is_case_insensitive_at_sign_in(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    assert (await sign_in(client, "ADA@STUDENTS.TEST")).status_code == 200


async def test_passwords_are_compared_in_unicode_normal_form(client: httpx.AsyncClient) -> None:
    await sign_up(client, password=unicodedata.normalize("NFD", UMLAUTS))
    assert (await sign_in(client, password=unicodedata.normalize("NFC", UMLAUTS))).status_code == 200


async def test_a_lone_surrogate_in_a_password_is_refused(client: httpx.AsyncClient) -> None:
    """JSON can contain one, but it cannot be encoded as UTF-8."""
    for route, fields in (("signup", ADA), ("token", {"email": ADA["email"]})):
        body = json.dumps(fields | {"password": f"{PASSWORD}\ud83d"})
        answer = await client.post(f"/v1/auth/{route}", content=body, headers={"Content-Type": "application/json"})
        assert problem(answer) == (422, "request-invalid")
        assert answer.json()["errors"] == [{"where": "body/password", "why": "Value error, is not Unicode text"}]


async def test_passwords_are_case_and_space_sensitive(client: httpx.AsyncClient) -> None:
    await sign_up(client)
    for other in (PASSWORD.upper(), f"{PASSWORD} ", PASSWORD.replace(" ", "")):
        assert (await sign_in(client, password=other)).status_code == 401


async def test_an_outdated_hash_is_replaced_at_the_next_successful_sign_in(
    client: httpx.AsyncClient, app: FastAPI, engine: AsyncEngine
) -> None:
    await sign_up(client)
    app.state.password_hasher = AsyncPasswordHasher(CountingHasher(time_cost=2))
    assert (await sign_in(client, ADA["email"], "not the right password")).status_code == 401
    (unchanged,) = await rows(engine, Credential)
    assert "t=1" in unchanged.password_hash
    for _ in range(2):
        assert (await sign_in(client)).status_code == 200
        (replaced,) = await rows(engine, Credential)
        assert "t=2" in replaced.password_hash


@pytest.mark.parametrize(
    "password",
    [
        "fourteen chars",
        "ö" * 64 + "x",
        "passwordpassword",
        "aaaaaaaaaaaaaaaa",
        "123456789012345",
        "098765432109876",
        "QwertyUiopAsdfgh",
        "abcdefghijklmnop",
        "AdaLovelace@students.test",
        "Ada Lovelace of London",
        "passwordstandard",
        "Password1234567",
        "12345 Iloveyou!!",
        7,
        None,
    ],
)
async def test_a_short_long_or_guessable_password_is_refused_and_not_echoed(
    client: httpx.AsyncClient, password: object
) -> None:
    answer = await sign_up(client, password=password, email="adalovelace@students.test", name="Ada Lovelace of London")
    assert problem(answer) == (422, "request-invalid")
    assert str(password) not in str(said(answer))


@pytest.mark.parametrize(
    "password", ["fifteen chars!!", "ö" * 63 + "xy", "аб вг де жз ик лм", "🦊🐙🌵🎻🚲" * 2 + "12345"]
)
async def test_a_long_enough_password_of_any_characters_is_accepted(client: httpx.AsyncClient, password: str) -> None:
    assert len(password.encode()) <= MAX_BYTES
    assert (await sign_up(client, password=password)).status_code == 201
    assert (await sign_in(client, password=password)).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"email": "ada"},
        {"email": "ada@localhost"},
        {"email": "ada@students..test"},
        {"email": "ada..byron@students.test"},
        {"email": ".ada@students.test"},
        {"email": "ada.@students.test"},
        {"email": "a" * 65 + "@students.test"},
        {"email": "ada@students.test\x00"},
        {"email": "Ada <ada@students.test>"},
        {"email": "ada@" + "a" * 260 + ".test"},
        {"email": 7},
        {"name": "  "},
        {"name": "Ada\nBcc: all@students.test"},
        {"name": "A\x00"},
        {"name": "a" * 201},
        {"name": "\u3164"},
        {"name": "Ada\u202e"},
        {"name": "Win at evil.com"},
        {"email": "ada@-müller-.test"},
        {"email": "ada@mül\u202eler.test"},
        {"email": "ädä@students.test"},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../../etc/passwd"},
        {"time_zone": "localtime"},
        {"id": "00000000-0000-4000-8000-000000000000"},
        {"stripe_account_id": "acct_1"},
    ],
)
async def test_unknown_or_invalid_fields_are_refused(
    client: httpx.AsyncClient, engine: AsyncEngine, changed: dict[str, object]
) -> None:
    assert problem(await sign_up(client, **changed)) == (422, "request-invalid")
    assert await rows(engine, Credential) == []


@pytest.mark.parametrize("missing", ["email", "password", "name", "role"])
async def test_a_missing_field_is_named(client: httpx.AsyncClient, missing: str) -> None:
    answer = await client.post("/v1/auth/signup", json={name: ADA[name] for name in ADA if name != missing})
    assert problem(answer) == (422, "request-invalid")
    assert answer.json()["errors"][0]["where"] == f"body/{missing}"
