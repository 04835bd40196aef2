"""The whole stack starts, keeps its data, and stops without leftovers. More is in tests/api/stack/test_processes.py."""

import asyncio
import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.stack.commands import StartupError
from sandbox.stack.local import StackDirectory
from sandbox.stack.ports import LOOPBACK
from sandbox.stack.stack import Stack
from sandbox.stack.stripe_choice import StackRefusedError
from sandbox.up import up
from tests.sandbox.stack.processes import eventually, is_gone

pytestmark = pytest.mark.usefixtures("sandbox_stripe")

_PROCESSES = {"postgres", "temporal", "mailbox", "stripe", "meeting", "worker", "api"}


@pytest.fixture
def sandbox_stripe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the sandbox, whichever key the developer's shell has."""
    for name in ("STRIPE_API_KEY", "HOLDFAST_ENV"):
        monkeypatch.delenv(name, raising=False)


async def status(url: str) -> int:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(url)).status_code


@asynccontextmanager
async def running_up(local: StackDirectory, ready_file: Path) -> AsyncIterator[dict[str, Any]]:
    """What `./run up` writes to its ready file, while it runs."""
    ready_file.unlink(missing_ok=True)  # noqa: ASYNC240 - an earlier run's
    running = asyncio.create_task(up(local, ready_file))
    try:
        await eventually(lambda: running.done() or ready_file.exists())
        if running.done():
            await running
        yield _read(ready_file)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert running.result() == 0


async def first_mail(mailbox_url: str) -> dict[str, str]:
    async with asyncio.timeout(60), httpx.AsyncClient(trust_env=False, base_url=mailbox_url) as mailbox:
        while True:
            if mails := (await mailbox.get("/mails.json")).json():
                first: dict[str, str] = mails[0]
                return first
            await asyncio.sleep(0.1)


async def test_failed_start_names_the_process_and_stops_the_others(tmp_path: Path) -> None:
    stack = Stack(tmp_path, env={"HOLDFAST_TOKEN_SECRET": "too short"})
    with pytest.raises(StartupError, match=r"(?s)api ended at start-up.*HOLDFAST_TOKEN_SECRET"):
        async with stack:
            pytest.fail("the stack started with a weak secret")
    assert stack.pids == {}
    assert all(is_gone(process.pid) for process in stack.processes.values())


# The Stripe SDK's HTTP client, which the seeding uses.
@pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")
async def test_up_writes_the_addresses_restarts_killed_processes_and_keeps_its_data(tmp_path: Path) -> None:
    local, ready_file = StackDirectory(tmp_path / "local"), tmp_path / "ready.json"
    async with running_up(local, ready_file) as ready:
        assert set(ready["pids"]) == _PROCESSES
        assert await status(ready["mailbox_url"]) == 200

        with pytest.raises(StackRefusedError, match="running already"):
            await up(local, None)

        os.kill(ready["pids"]["api"], signal.SIGKILL)
        await eventually(lambda: _read(ready_file)["pids"].get("api", 0) not in (0, ready["pids"]["api"]))

        async with httpx.AsyncClient(trust_env=False, base_url=f"{ready['api_url']}/v1") as student:
            account = {"email": "ada@students.example", "password": "a long enough password"}
            person = account | {"name": "Ada", "role": "student", "time_zone": "UTC"}
            (await student.post("/auth/signup", json=person)).raise_for_status()
            token = (await student.post("/auth/token", json=account)).json()["access_token"]
            student.headers.update({"Authorization": f"Bearer {token}", "Idempotency-Key": "first"})
            [offering] = (await student.get("/offerings", params={"q": "Composition"})).json()["data"]
            slots = (await student.get(f"/offerings/{offering['id']}/slots")).json()["data"]
            booking = (await student.post("/bookings", json={"slot_id": slots[-1]["id"]})).raise_for_status().json()
    assert all(is_gone(pid) for pid in _read(ready_file)["pids"].values())
    with pytest.raises(StackRefusedError, match="No stack"):
        local.read_secrets()

    async with running_up(local, ready_file) as again:
        assert again | {"pids": ready["pids"]} == ready
        async with httpx.AsyncClient(
            trust_env=False, base_url=f"{again['api_url']}/v1", headers=student.headers
        ) as ada:
            assert (await ada.get(f"/bookings/{booking['id']}")).raise_for_status().json()["status"] == "PENDING"
            assert await status(booking["checkout_url"]) == 200
            (await ada.post(f"/bookings/{booking['id']}/cancel")).raise_for_status()
        mail = await first_mail(again["mailbox_url"])
        assert mail["subject"].startswith("Cancelled: Composition: colour and silence, ")
        assert "You were not charged." in mail["text"]


def test_fresh_start_has_neither_the_data_nor_the_ports(tmp_path: Path) -> None:
    local, elsewhere = StackDirectory(tmp_path), tmp_path / "elsewhere"
    Stack(local.state)
    elsewhere.mkdir()
    (local.state / "postgres").symlink_to(elsewhere)
    local.delete_state()
    assert not local.state.exists()
    assert not elsewhere.exists()


@pytest.mark.parametrize(
    ("kept", "reason"),
    [
        ({"Stripe": "https://api.stripe.com"}, "another Stripe"),
        ({"migrations": json.dumps({"0001_initial.py": "as it was once"})}, "migration"),
    ],
)
def test_data_of_another_schema_or_stripe_are_refused(tmp_path: Path, kept: dict[str, str], reason: str) -> None:
    (tmp_path / "kept.json").write_text(json.dumps(kept))
    with pytest.raises(StackRefusedError, match=rf"(?s){reason}.*--fresh"):
        Stack(tmp_path)


def test_kept_port_that_is_taken_by_now_is_refused(tmp_path: Path) -> None:
    Stack(tmp_path)
    port = int(json.loads((tmp_path / "kept.json").read_text())["port of the API"])
    with (
        socket.create_server((LOOPBACK, port)),
        pytest.raises(StackRefusedError, match=f"(?s){port}.*the API.*--fresh"),
    ):
        Stack(tmp_path)


def _read(path: Path) -> Any:
    return json.loads(path.read_text())
