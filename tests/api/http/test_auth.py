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
GOOD: dict[str, Any] = {"sub": str(uuid4()), "role": "student", "iat": NOW, "exp": NOW + HOUR}


def signed(changed: dict[str, Any] | None = None, key: str = SIGNING_KEY, algorithm: str = "HS256") -> str:
    claims = {name: value for name, value in (GOOD | (changed or {})).items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm)


def test_a_token_says_who_its_caller_is() -> None:
    subject = uuid4()
    token = issue_token(SIGNING_KEY, Role.OPERATOR, subject, HOUR)
    assert read_token(SIGNING_KEY, token) == Caller(Role.OPERATOR, subject)


def test_the_first_secret_signs_and_all_of_them_verify() -> None:
    subject = uuid4()
    old, new = "the old secret that is long enough too", "the new secret that is also long enough"
    before, during = (issue_token(secret, Role.STUDENT, subject, HOUR) for secret in (old, f"{new}, {old}"))
    assert read_token(f"{new},{old}", before) == read_token(f"{new},{old}", during) == Caller(Role.STUDENT, subject)
    assert read_token(new, during) == Caller(Role.STUDENT, subject)
    assert read_token(new, before) is None


def test_a_token_names_the_key_that_signed_it_and_no_other_is_tried() -> None:
    token = issue_token(SIGNING_KEY, Role.STUDENT, uuid4(), HOUR)
    kid = jwt.get_unverified_header(token)["kid"]
    assert kid not in SIGNING_KEY
    renamed = jwt.encode(GOOD, SIGNING_KEY, algorithm="HS256", headers={"kid": "another"})
    assert read_token(SIGNING_KEY, renamed) is None


def test_a_token_without_a_keys_name_is_tried_with_every_key() -> None:
    assert read_token(f"another secret that is also long enough,{SIGNING_KEY}", signed()) is not None


def test_nobody_gets_a_token_for_the_platform() -> None:
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
        signed({"role": "platform"}),
        signed({"role": "admin"}),
        signed({"role": ["student"]}),
        signed({"sub": "ada"}),
        *(signed({claim: None}) for claim in GOOD),
    ],
)
def test_a_token_that_is_not_ours_or_not_valid_now_speaks_for_nobody(token: str) -> None:
    assert read_token(SIGNING_KEY, token) is None


async def test_no_token_is_asked_for_one(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/bookings")
    assert problem(answer) == (401, "not-signed-in")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("authorization", ["Bearer nonsense", f"Bearer {signed({'exp': NOW - HOUR})}"])
async def test_a_bad_token_is_told_to_be_bad(client: httpx.AsyncClient, authorization: str) -> None:
    answer = await client.get("/v1/bookings", headers={"Authorization": authorization})
    assert problem(answer) == (401, "not-signed-in")
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_another_scheme_than_bearer_is_no_token(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/bookings", headers={"Authorization": "Basic YWRhOnNlY3JldA=="})
    assert problem(answer) == (401, "not-signed-in")
