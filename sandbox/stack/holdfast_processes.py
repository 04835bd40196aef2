"""Holdfast's worker and API as processes of the stack."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sandbox.stack.commands import Command
from sandbox.stack.environment import PROJECT_ROOT, child_environment, python
from sandbox.stack.probes import http_ok
from sandbox.stack.processes import Process

# The worker lets running activities finish for up to 30 s after SIGTERM.
_WORKER_STOP_TIMEOUT: Final = 35.0

# It is started first, and is ready once Postgres and Temporal are.
_API_START_TIMEOUT: Final = 60.0

# An open event stream would otherwise keep the API running until its client disconnects.
_API_GRACE_SECONDS: Final = 3


def worker(env: Mapping[str, str], *, metrics_url: str, log: Path) -> Process:
    """The worker. It is ready once it serves its metrics."""
    return Process(
        name="worker",
        command=Command(
            argv=python("worker.py"),
            env=child_environment({**env, "HOLDFAST_WORKER_METRICS_ADDRESS": urlsplit(metrics_url).netloc}),
            cwd=PROJECT_ROOT,
            stop_timeout=_WORKER_STOP_TIMEOUT,
        ),
        ready=http_ok(metrics_url),
        log=log,
    )


def api(env: Mapping[str, str], *, url: str, metrics_url: str, log: Path) -> Process:
    """The API. It is ready once `/readyz` succeeds."""
    address = urlsplit(url)
    return Process(
        name="api",
        command=Command(
            argv=python(
                *("-m", "uvicorn", "--factory", "api.main:create_app"),
                *("--host", str(address.hostname), "--port", str(address.port)),
                *("--timeout-graceful-shutdown", str(_API_GRACE_SECONDS)),
            ),
            env=child_environment({**env, "HOLDFAST_API_METRICS_ADDRESS": urlsplit(metrics_url).netloc}),
            cwd=PROJECT_ROOT,
        ),
        ready=http_ok(f"{url}/readyz"),
        log=log,
        start_timeout=_API_START_TIMEOUT,
    )
