"""Tokens of an identity provider: real keys, published by a real local server."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest
from fastapi import FastAPI
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client

from api.main import build_app
from api.people.oidc import IdentityProvider, PublishedKeys
from api.settings import IdentitySettings, Settings
from models.domain.actors import Role
from models.domain.ids import person_id
from models.tables.people import Instructor, Student
from sandbox.stack.ports import free_port
from tests.api.people.identity_provider import AUDIENCE, Provider, ec_key, identity_provider, rsa_key
from tests.api.world import World, audited, problem, settings

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def provider(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Provider]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with identity_provider(free_port()) as provider:
        provider.keys = {"one": rsa_key(), "two": ec_key()}
        yield provider


def identity_settings(provider: Provider, **changed: str) -> IdentitySettings:
    required = {"holdfast_oidc_issuer": provider.issuer, "holdfast_oidc_audience": AUDIENCE}
    return IdentitySettings.model_validate(required | changed)


@pytest.fixture
def app(
    database_url: str, task_queue: str, engine: AsyncEngine, temporal: Client, provider: Provider, clock: Clock
) -> FastAPI:
    base = settings(database_url, task_queue)
    identity = identity_settings(provider)
    app = build_app(Settings(base.runtime, base.http, base.policy, identity), engine, temporal)
    app.state.identity = IdentityProvider(identity, app.state.database, PublishedKeys(identity, clock))
    return app


async def bookings(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.get("/v1/bookings", headers={"Authorization": f"Bearer {token}"})


async def people(engine: AsyncEngine, table: type[Any]) -> list[Any]:
    async with AsyncSession(engine) as session:
        return list(await session.exec(select(table)))


@pytest.mark.parametrize("key", ["one", "two"])
async def test_a_students_row_is_created_on_the_first_request_only(
    client: httpx.AsyncClient, engine: AsyncEngine, provider: Provider, key: str
) -> None:
    for _ in range(2):
        assert (await bookings(client, provider.token(key, zoneinfo="Asia/Tokyo"))).status_code == 200
    assert (await bookings(client, provider.token(key, name="Renamed"))).status_code == 200
    (student,) = await people(engine, Student)
    assert student.id == person_id(provider.issuer, "ada|1")
    assert (student.email, student.name, student.time_zone) == ("ada@students.test", "Ada", "Asia/Tokyo")
    assert await people(engine, Instructor) == []
    (event,) = await audited(engine, student.id)
    assert (event.action, event.actor_role, event.actor_id) == ("person.introduced", Role.STUDENT, student.id)


@pytest.mark.parametrize(
    ("first", "then", "verified"),
    [
        ({"email_verified": True}, {"email_verified": True}, True),
        ({"email_verified": None}, {"email_verified": None}, False),
        ({"email_verified": None}, {"email_verified": True}, True),
        ({"email_verified": None}, {"email_verified": "true"}, False),
        ({"email_verified": None}, {"email_verified": True, "email": "another@students.test"}, False),
    ],
)
async def test_an_address_that_the_provider_has_verified_counts_as_verified(
    client: httpx.AsyncClient,
    engine: AsyncEngine,
    provider: Provider,
    first: dict[str, Any],
    then: dict[str, Any],
    verified: bool,
) -> None:
    for claims in (first, then):
        assert (await bookings(client, provider.token(**claims))).status_code == 200
    (student,) = await people(engine, Student)
    assert (student.email_verified_at is not None) is verified
    actions = [event.action for event in await audited(engine, student.id)]
    is_later = verified and first != then
    assert actions == ["person.introduced"] + ["person.address_verified"] * is_later


async def test_an_instructors_row_is_created_and_has_a_profile(client: httpx.AsyncClient, provider: Provider) -> None:
    token = provider.token(roles="instructor", sub="nadia", name=None, zoneinfo="Mars/Olympus")
    answer = await client.get("/v1/instructors/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert UUID(answer.json()["id"]) == person_id(provider.issuer, "nadia")
    assert (answer.json()["name"], answer.json()["time_zone"]) == ("ada", "UTC")


async def test_a_suspended_person_is_let_in_again_once_reinstated(
    client: httpx.AsyncClient, provider: Provider
) -> None:
    token, operator = provider.token(), provider.token(roles=["operator"], sub="olu", email=None)
    assert (await bookings(client, token)).status_code == 200
    url = f"/v1/operator/people/{person_id(provider.issuer, 'ada|1')}"
    headers = {"Authorization": f"Bearer {operator}"}
    assert (await client.post(f"{url}/suspend", headers=headers)).status_code == 200
    assert problem(await bookings(client, token)) == (403, "account-suspended")
    assert (await client.post(f"{url}/reinstate", headers=headers)).status_code == 200
    assert (await bookings(client, token)).status_code == 200


async def test_operators_have_no_row(client: httpx.AsyncClient, engine: AsyncEngine, provider: Provider) -> None:
    token = provider.token(roles=["operator"], email=None)
    answer = await client.get("/v1/operator/bookings", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert await people(engine, Student) == []


async def test_a_person_whose_role_changes_has_both_in_one_account(
    client: httpx.AsyncClient, engine: AsyncEngine, provider: Provider
) -> None:
    answers = []
    for role in ("student", "instructor", "student"):
        token = provider.token(roles=role, email="ada@students.test" if role == "student" else "ada@work.test")
        answers.append(await client.get("/v1/me", headers={"Authorization": f"Bearer {token}"}))
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    shown = [(answer.json()["role"], answer.json()["roles"]) for answer in answers]
    both = ["student", "instructor"]
    assert shown == [("student", ["student"]), ("instructor", both), ("student", both)]
    assert {answer.json()["email"] for answer in answers} == {"ada@students.test"}
    id = person_id(provider.issuer, "ada|1")
    assert [row.id for table in (Student, Instructor) for row in await people(engine, table)] == [id, id]


async def test_a_closed_account_stays_closed(client: httpx.AsyncClient, provider: Provider) -> None:
    student, instructor = (
        {"Authorization": f"Bearer {provider.token(roles=role)}"} for role in ("student", "instructor")
    )
    assert (await client.post("/v1/me/close", headers=student)).status_code == 204
    for headers in (student, instructor):
        assert problem(await client.get("/v1/me", headers=headers)) == (403, "no-account")


async def test_the_first_token_sets_the_settings_that_are_valid(client: httpx.AsyncClient, provider: Provider) -> None:
    token = provider.token(name="Win at evil.com", locale="de-at", zoneinfo="Asia/Tokyo")
    shown = (await client.get("/v1/me", headers={"Authorization": f"Bearer {token}"})).json()
    assert (shown["name"], shown["language"], shown["time_zone"]) == ("ada", "de-AT", "Asia/Tokyo")


async def test_a_language_of_the_provider_without_a_catalogue_is_english(
    client: httpx.AsyncClient, provider: Provider
) -> None:
    headers = {"Authorization": f"Bearer {provider.token(locale='fr-CA')}"}
    assert (await client.get("/v1/me", headers=headers)).json()["language"] == "en"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "http://127.0.0.1:1/tenant"},
        {"aud": "another program"},
        {"aud": None},
        {"exp": NOW - HOUR},
        {"exp": None},
        {"iat": None},
        {"nbf": NOW + HOUR},
        {"sub": None},
        {"sub": ""},
    ],
)
async def test_a_token_with_wrong_or_missing_claims_is_refused(
    client: httpx.AsyncClient, engine: AsyncEngine, provider: Provider, changed: dict[str, Any]
) -> None:
    assert problem(await bookings(client, provider.token(**changed))) == (401, "not-signed-in")
    assert await people(engine, Student) == []


async def test_a_token_not_signed_by_the_provider_is_refused(
    client: httpx.AsyncClient, provider: Provider, world: World
) -> None:
    symmetric = jwt.encode(
        {"sub": "ada"}, "no key of theirs that is long enough", algorithm="HS256", headers={"kid": "one"}
    )
    unsigned = jwt.encode({"sub": "ada"}, "", algorithm="none", headers={"kid": "one"})
    forged = [provider.token("one", rsa_key()), provider.token("two", ec_key()), provider.token("two", rsa_key())]
    for token in (*forged, symmetric, unsigned, "not.a.token", world.student.headers["Authorization"][7:]):
        assert problem(await bookings(client, token)) == (401, "not-signed-in")


@pytest.mark.parametrize("roles", [None, [], "admin", ["student", "operator"], {"student": True}, 7])
async def test_a_token_without_exactly_one_known_role_is_refused(
    client: httpx.AsyncClient, provider: Provider, roles: object
) -> None:
    assert problem(await bookings(client, provider.token(roles=roles))) == (403, "wrong-role")


async def test_role_names_and_the_role_claim_are_settings(
    app: FastAPI, client: httpx.AsyncClient, provider: Provider
) -> None:
    names = {"holdfast_oidc_role_claim": "realm_access.roles", "holdfast_oidc_student_role": "pupil"}
    app.state.identity = IdentityProvider(identity_settings(provider, **names), app.state.database)
    token = provider.token(realm_access={"roles": ["offline_access", "pupil"]})
    assert (await bookings(client, token)).status_code == 200


@pytest.mark.parametrize("changed", [{"email": None}, {"email": "ada"}, {"email_verified": False}])
async def test_a_new_person_needs_a_verified_address(
    client: httpx.AsyncClient, provider: Provider, changed: dict[str, Any]
) -> None:
    assert problem(await bookings(client, provider.token(**changed))) == (403, "no-account")
    assert (await bookings(client, provider.token())).status_code == 200
    assert (await bookings(client, provider.token(**changed))).status_code == 200


async def test_an_account_is_not_taken_over_by_its_address(
    client: httpx.AsyncClient, provider: Provider, world: World
) -> None:
    for person, sub in ((world.student, "one"), (world.instructor, "two")):
        token = provider.token(sub=sub, email=f"{person.id}@{person.role}s.test")
        assert problem(await bookings(client, token)) == (403, "no-account")


async def test_sign_up_and_sign_in_are_left_to_the_provider(client: httpx.AsyncClient, provider: Provider) -> None:
    account = {"email": "ada@students.test", "password": "a long enough password"}
    answers = [
        await client.post("/v1/auth/signup", json=account | {"name": "Ada", "role": "student"}),
        await client.post("/v1/auth/token", json=account),
    ]
    for answer in answers:
        assert problem(answer) == (404, "identity-provider-used")
        assert answer.json()["issuer"] == provider.issuer


async def test_rotated_keys_are_fetched_on_first_use_and_old_ones_dropped(
    client: httpx.AsyncClient, provider: Provider, clock: Clock
) -> None:
    before = provider.token("one")
    assert (await bookings(client, before)).status_code == 200
    provider.keys = {"three": rsa_key()}
    clock.now += PublishedKeys.MIN_INTERVAL_SECONDS
    assert (await bookings(client, provider.token("three"))).status_code == 200
    assert problem(await bookings(client, before)) == (401, "not-signed-in")
    assert provider.fetched == 2


async def test_unknown_key_ids_do_not_trigger_a_fetch_each(
    client: httpx.AsyncClient, provider: Provider, clock: Clock
) -> None:
    for number in range(5):
        assert (await bookings(client, provider.token(f"unknown {number}", rsa_key()))).status_code == 401
    assert provider.fetched == 1


async def test_keys_are_refreshed_and_stay_in_use_while_the_provider_is_down(
    client: httpx.AsyncClient, provider: Provider, clock: Clock
) -> None:
    assert (await bookings(client, provider.token())).status_code == 200
    provider.is_down = True
    for _ in range(2):
        clock.now += PublishedKeys.MAX_AGE_SECONDS + 1
        assert (await bookings(client, provider.token())).status_code == 200
    assert provider.fetched == 3


async def test_without_any_keys_the_response_is_503(
    client: httpx.AsyncClient, provider: Provider, clock: Clock
) -> None:
    provider.is_down = True
    for _ in range(2):
        assert problem(await bookings(client, provider.token())) == (503, "unavailable")
    provider.is_down = False
    clock.now += PublishedKeys.MIN_INTERVAL_SECONDS
    assert (await bookings(client, provider.token())).status_code == 200


async def test_metadata_of_another_issuer_is_rejected(client: httpx.AsyncClient, provider: Provider) -> None:
    provider.metadata_issuer = "https://another.test"
    assert problem(await bookings(client, provider.token())) == (503, "unavailable")
    assert provider.fetched == 0


async def test_the_jwks_url_can_be_set(app: FastAPI, client: httpx.AsyncClient, provider: Provider) -> None:
    provider.metadata_issuer = "https://another.test"
    with_jwks_url = identity_settings(provider, holdfast_oidc_jwks_url=f"{provider.issuer}/keys")
    app.state.identity = IdentityProvider(with_jwks_url, app.state.database)
    assert (await bookings(client, provider.token())).status_code == 200


ISSUER = {"holdfast_oidc_issuer": "https://id.example", "holdfast_oidc_audience": AUDIENCE}


@pytest.mark.parametrize(
    "values",
    [
        {"holdfast_oidc_issuer": "https://id.example"},
        {"holdfast_oidc_audience": AUDIENCE},
        ISSUER | {"holdfast_oidc_issuer": "http://id.example"},
        ISSUER | {"holdfast_oidc_jwks_url": "http://id.example/keys"},
        ISSUER | {"holdfast_oidc_operator_role": "student"},
        ISSUER | {"holdfast_oidc_role_claim": ""},
    ],
)
def test_unsafe_or_incomplete_settings_are_rejected(values: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        IdentitySettings.model_validate(values)


def test_a_provider_is_used_if_an_issuer_is_set() -> None:
    assert not IdentitySettings().is_used
    assert IdentitySettings.model_validate(ISSUER).is_used
