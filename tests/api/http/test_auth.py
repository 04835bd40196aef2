from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest

from api.http.auth import Caller, issue_token, read_token
from models.domain.actors import Role
from tests.api.world import HOUR, SIGNING_KEY, problem

NOW = datetime.now(UTC)
GOOD: dict[str, Any] = {
    "iss": "holdfast",
    "aud": "holdfast-api",
    "sub": str(uuid4()),
    "role": "student",
    "iat": NOW,
    "exp": NOW + HOUR,
}


def signed(changes: dict[str, Any] | None = None, key: str = SIGNING_KEY, algorithm: str = "HS256") -> str:
    claims = {name: value for name, value in (GOOD | (changes or {})).items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm)


def test_a_token_identifies_its_caller() -> None:
    subject = uuid4()
    token = issue_token(SIGNING_KEY, Role.OPERATOR, subject, HOUR)
    assert read_token(SIGNING_KEY, token) == Caller(Role.OPERATOR, subject)


def test_the_first_secret_signs_and_all_verify() -> None:
    subject = uuid4()
    old, new = "the old secret that is long enough too", "the new secret that is also long enough"
    before, during = (issue_token(secret, Role.STUDENT, subject, HOUR) for secret in (old, f"{new}, {old}"))
    assert read_token(f"{new},{old}", before) == read_token(f"{new},{old}", during) == Caller(Role.STUDENT, subject)
    assert read_token(new, during) == Caller(Role.STUDENT, subject)
    assert read_token(new, before) is None


def test_a_token_is_verified_only_with_the_key_of_its_kid() -> None:
    token = issue_token(SIGNING_KEY, Role.STUDENT, uuid4(), HOUR)
    kid = jwt.get_unverified_header(token)["kid"]
    assert kid not in SIGNING_KEY
    other_kid = jwt.encode(GOOD, SIGNING_KEY, algorithm="HS256", headers={"kid": "another"})
    assert read_token(SIGNING_KEY, other_kid) is None


def test_a_token_without_a_kid_is_verified_with_every_key() -> None:
    assert read_token(f"another secret that is also long enough,{SIGNING_KEY}", signed()) is not None


def test_no_token_is_issued_for_the_platform() -> None:
    with pytest.raises(ValueError, match="platform"):
        issue_token(SIGNING_KEY, Role.PLATFORM, uuid4(), HOUR)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "not.a.token",
        signed(key="another secret that is also long enough"),
        signed(key=SIGNING_KEY * 2, algorithm="HS512"),
        jwt.encode(GOOD, "", algorithm="none"),
        signed({"exp": NOW - timedelta(seconds=1)}),
        signed({"iat": NOW + HOUR}),
        signed({"exp": NOW + 25 * HOUR}),
        signed({"iss": "another program"}),
        signed({"aud": "another program"}),
        signed({"role": "platform"}),
        signed({"role": "admin"}),
        signed({"role": ["student"]}),
        signed({"sub": "ada"}),
        *(signed({claim: None}) for claim in GOOD),
    ],
)
def test_a_forged_malformed_or_expired_token_has_no_caller(token: str) -> None:
    assert read_token(SIGNING_KEY, token) is None


async def test_a_request_without_a_token_is_challenged(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/bookings")
    assert problem(answer) == (401, "not-signed-in")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("authorization", ["Bearer nonsense", f"Bearer {signed({'exp': NOW - HOUR})}"])
async def test_a_request_with_an_invalid_token_is_told_so(client: httpx.AsyncClient, authorization: str) -> None:
    answer = await client.get("/v1/bookings", headers={"Authorization": authorization})
    assert problem(answer) == (401, "not-signed-in")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_only_the_bearer_scheme_is_accepted(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/bookings", headers={"Authorization": "Basic YWRhOnNlY3JldA=="})
    assert problem(answer) == (401, "not-signed-in")
