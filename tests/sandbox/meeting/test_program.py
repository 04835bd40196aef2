"""When the meeting sandbox refuses to start."""

import os
import subprocess
import sys

import pytest

from sandbox.stack.environment import PROJECT_ROOT
from sandbox.stack.ports import free_port


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
