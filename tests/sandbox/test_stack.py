"""The whole stack: it comes up, survives the loss of its parts, and goes away without a trace."""

import asyncio
import json
import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest

from api.auth import issue_token
from models.terms import Role
from sandbox.commands import StartupError
from sandbox.local import LocalPlace
from sandbox.seed import seed
from sandbox.stack import Stack
from sandbox.stripe_choice import StackRefusedError
from sandbox.up import up
from tests.sandbox.test_stack_processes import eventually, is_gone

pytestmark = pytest.mark.usefixtures("sandbox_stripe")

_A_STUDENT = UUID("0198c0de-0000-7000-8000-000000000001")
_AN_HOUR = timedelta(hours=1)
_PARTS = {"postgres", "temporal", "mailbox", "stripe", "meeting", "worker", "api"}


@pytest.fixture
def sandbox_stripe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever key the developer's shell holds, these tests use the sandbox."""
    for name in ("STRIPE_API_KEY", "HOLDFAST_ENV"):
        monkeypatch.delenv(name, raising=False)


async def status(url: str) -> int:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(url)).status_code


async def test_everything_answers_and_is_gone_afterwards(tmp_path: Path) -> None:
    async with Stack(tmp_path) as stack:
        pids = stack.pids
        assert set(pids) == _PARTS
        assert await status(f"{stack.api_url}/readyz") == 200
        assert await status(stack.worker_metrics_url) == 200
        assert await status(stack.temporal_ui_url) == 200
        conninfo = stack.database_url.replace("+psycopg", "")
        async with await psycopg.AsyncConnection.connect(conninfo) as connection:
            await connection.execute("SELECT FROM alembic_version")
    assert all(is_gone(pid) for pid in pids.values())


async def test_an_instructor_comes_in_by_the_front_door_and_can_be_paid(tmp_path: Path) -> None:
    """Sign-up, sign-in, Stripe's page, and Stripe's news of it, with nothing brought by hand."""
    account = {"email": "nadia@instructors.example", "password": "a long enough password"}
    async with Stack(tmp_path) as stack, httpx.AsyncClient(trust_env=False, base_url=stack.api_url) as client:
        person = account | {"name": "Nadia", "role": "instructor", "time_zone": "Europe/Paris"}
        (await client.post("/v1/auth/signup", json=person)).raise_for_status()
        token = (await client.post("/v1/auth/token", json=account)).raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        link = (await client.post("/v1/instructors/me/onboarding-link")).raise_for_status().json()["url"]
        back = await client.post(link)
        assert (await client.get(back.headers["location"])).status_code == 200

        async def is_payable() -> bool:
            shown = (await client.get("/v1/instructors/me")).raise_for_status().json()["payments"]
            return bool(shown["can_be_paid"])

        async with asyncio.timeout(30):
            while True:
                if await is_payable():
                    break
                await asyncio.sleep(0.1)


# The SDK's own HTTP client, while it seeds.
@pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")
async def test_what_happens_to_a_booking_is_in_the_mailbox(tmp_path: Path) -> None:
    async with Stack(tmp_path) as stack:
        seeds = await seed(stack.database_url, stack.stripe_key, stack.environment["STRIPE_API_BASE"])
        token = issue_token(stack.token_secret, Role.STUDENT, seeds.students[0], _AN_HOUR)
        headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": "first"}
        async with httpx.AsyncClient(trust_env=False, base_url=stack.api_url, headers=headers) as student:
            slot = {"slot_id": str(seeds.slots["moderate"][-1])}
            booking = (await student.post("/v1/bookings", json=slot)).raise_for_status().json()
            (await student.post(f"/v1/bookings/{booking['id']}/cancel")).raise_for_status()
        async with asyncio.timeout(30), httpx.AsyncClient(trust_env=False, base_url=stack.mailbox_url) as mailbox:
            while True:
                mails = (await mailbox.get("/mails.json")).json()
                if mails:
                    break
                await asyncio.sleep(0.1)
        assert [mail["subject"] for mail in mails] == ["Cancelled: Composition: colour and silence with Toru Takemitsu"]
        assert "Nothing was charged." in mails[0]["text"]


async def test_a_killed_worker_is_replaced_by_a_new_one(tmp_path: Path) -> None:
    async with Stack(tmp_path) as stack:
        first = stack.pids["worker"]
        await stack.kill_worker()
        assert "worker" not in stack.pids
        await stack.start_worker()
        assert stack.pids["worker"] != first
        assert await status(stack.worker_metrics_url) == 200


async def test_a_part_that_fails_to_start_is_named_and_the_others_are_stopped(tmp_path: Path) -> None:
    stack = Stack(tmp_path, env={"HOLDFAST_TOKEN_SECRET": "too short"})
    with pytest.raises(StartupError, match=r"(?s)api ended at start-up.*holdfast_token_secret"):
        async with stack:
            pytest.fail("the stack started with a weak secret")
    assert stack.pids == {}
    assert all(is_gone(process.pid) for process in stack.processes.values())


# The SDK's own HTTP client, while it seeds.
@pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")
async def test_up_says_where_everything_is_and_brings_back_what_is_killed(tmp_path: Path) -> None:
    place, ready_file = LocalPlace(tmp_path / "local"), tmp_path / "ready.json"
    running = asyncio.create_task(up(place, ready_file))
    try:
        await eventually(ready_file.exists)
        ready = _read(ready_file)
        assert set(ready["pids"]) == _PARTS
        assert await status(ready["mailbox_url"]) == 200

        with pytest.raises(StackRefusedError, match="running already"):
            await up(place, None)

        os.kill(ready["pids"]["api"], signal.SIGKILL)
        await eventually(lambda: _read(ready_file)["pids"].get("api", 0) not in (0, ready["pids"]["api"]))

        token = issue_token(place.read_token_secret(), Role.STUDENT, _A_STUDENT, _AN_HOUR)
        async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {token}"}) as student:
            assert (await student.get(f"{ready['api_url']}/v1/bookings")).status_code == 200
    finally:
        running.cancel()
        assert await running == 0
    assert all(is_gone(pid) for pid in _read(ready_file)["pids"].values())
    with pytest.raises(StackRefusedError, match="No stack"):
        place.read_token_secret()


def _read(path: Path) -> Any:
    return json.loads(path.read_text())
