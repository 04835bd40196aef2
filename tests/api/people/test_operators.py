"""Operators are rows: added and revoked by a command, named in the audit trail, and refused once they are revoked."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import jwt
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.http.auth import issue_token
from api.people import operators
from models.domain.actors import PLATFORM, Role
from models.domain.messages import Channel
from tests.api.world import HOUR, SIGNING_KEY, audited, problem


@pytest.fixture
def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command's environment."""
    monkeypatch.setenv("HOLDFAST_ENV", "development")
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("HOLDFAST_TOKEN_SECRET", SIGNING_KEY)


def _run(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert operators.main(argv) == 0, capsys.readouterr().err
    return capsys.readouterr().out.strip()


async def _status(client: httpx.AsyncClient, token: str) -> int:
    answer = await client.get("/v1/operator/bookings", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code


@pytest.fixture
def operator(database: None, capsys: pytest.CaptureFixture[str]) -> UUID:
    return UUID(_run(capsys, "add", "--name", "Ada Lovelace"))


async def test_an_added_operator_has_short_tokens_until_they_are_revoked(
    operator: UUID, client: httpx.AsyncClient, engine: AsyncEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    token = await _in_thread(capsys, "token", "--id", str(operator))
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (claims["iss"], claims["aud"], claims["exp"] - claims["iat"]) == ("holdfast", "holdfast-api", 3600)
    assert await _status(client, token) == 200
    await _in_thread(capsys, "revoke", "--id", str(operator))
    assert await _status(client, token) == 401
    assert "Ada Lovelace" in (listed := await _in_thread(capsys, "list"))
    assert "revoked" in listed
    events = await audited(engine, operator)
    assert [(event.action, event.actor_role, event.channel) for event in events] == [
        ("operator.added", PLATFORM.role, Channel.COMMAND),
        ("operator.revoked", PLATFORM.role, Channel.COMMAND),
    ]


async def _in_thread(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    """The command runs an event loop of its own."""
    return await asyncio.to_thread(_run, capsys, *argv)


@pytest.mark.usefixtures("database")
async def test_the_secret_alone_makes_no_operator(client: httpx.AsyncClient) -> None:
    token = issue_token(SIGNING_KEY, Role.OPERATOR, uuid4(), HOUR)
    answer = await client.get("/v1/operator/bookings", headers={"Authorization": f"Bearer {token}"})
    assert problem(answer) == (401, "not-signed-in")


async def test_a_token_for_ten_years_is_refused(operator: UUID, client: httpx.AsyncClient) -> None:
    assert await _status(client, issue_token(SIGNING_KEY, Role.OPERATOR, operator, timedelta(days=3650))) == 401
    assert await _status(client, issue_token(SIGNING_KEY, Role.OPERATOR, operator, timedelta(days=1))) == 200


@pytest.mark.parametrize(
    "argv",
    [
        ("add", "--name", "Ada Lovelace"),
        ("revoke", "--id", str(uuid4())),
        ("token", "--id", str(uuid4())),
    ],
)
@pytest.mark.usefixtures("operator")
def test_a_name_is_used_once_and_an_unknown_operator_is_refused(
    argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert operators.main(argv) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.usefixtures("database")
def test_the_apis_role_cannot_add_an_operator(
    program_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", program_url)
    assert operators.main(("add", "--name", "Mallory")) == 1
    assert "permission denied" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", " ", "A\nda", "\u202eada", "a" * 201])
def test_a_name_can_be_read(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        operators.main(("add", "--name", name))
    assert "printable" in capsys.readouterr().err
