"""The meeting sandbox as a program: in the stack, and when it refuses to start."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from models.db import build_engine
from sandbox.stack.environment import PROJECT_ROOT
from sandbox.stack.ports import free_port
from sandbox.stack.stack import Stack
from tests.api.meetings.provider_events import scheduled
from tests.api.world import SIGNING_KEY, World


async def test_stack_reports_attendance_of_its_meetings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STRIPE_API_KEY", "HOLDFAST_ENV"):
        monkeypatch.delenv(name, raising=False)
    async with Stack(tmp_path, env={"HOLDFAST_TOKEN_SECRET": SIGNING_KEY}) as stack:
        engine = build_engine(stack.database_url)
        world = await World.create(engine)
        booking_id, room = await scheduled(world, -timedelta(minutes=1))
        await engine.dispose()
        async with httpx.AsyncClient(trust_env=False, base_url=stack.api_url) as client:
            path = f"/v1/bookings/{booking_id}"
            browser = world.student.headers | {"Accept": "text/html"}
            entrance = await client.get(f"{path}/join", headers=browser, follow_redirects=True)
            assert str(entrance.url).startswith(f"{stack.meeting_url}/{room}?jwt=")
            assert "Ada, participant" in entrance.text
            (await client.post(entrance.url, data={"action": "join"})).raise_for_status()
            booking = (await client.get(path, headers=world.operator.headers)).json()
        assert len(booking["attendance"]["student"]["visits"]) == 1
        token = str(entrance.url).partition("jwt=")[2]
        logs = [log.read_text() for log in stack.logs.iterdir()]
    assert logs
    assert not any(token in log for log in logs)


@pytest.mark.parametrize(
    "environment",
    [
        pytest.param({"HOLDFAST_ENV": "production"}, id="in production"),
        pytest.param({"SOME_KEY": "sk_live_abc"}, id="with a live key"),
    ],
)
def test_meeting_sandbox_refuses_to_start(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "sandbox.meeting", "--port", str(free_port()), "--webhook", "http://127.0.0.1:1"]
    refused = subprocess.run(
        command,
        cwd=PROJECT_ROOT,
        env={"PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert refused.returncode == 2
    assert "does not start" in refused.stderr
