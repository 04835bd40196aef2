"""The processes of the whole stack: what each is given, and that a killed worker can be replaced."""

import asyncio
from pathlib import Path

import httpx
import psycopg

from sandbox.stack.stack import Stack


def test_every_process_is_up(stack: Stack) -> None:
    assert set(stack.pids) == {"postgres", "temporal", "mailbox", "stripe", "meeting", "worker", "api"}
    for url in (f"{stack.api_url}/readyz", stack.worker_metrics_url, stack.api_metrics_url, stack.temporal_ui_url):
        assert status(url) == 200, url


def test_api_and_worker_have_only_the_secrets_that_they_need(stack: Stack) -> None:
    api, worker = (environment_of(stack.pids[name]) for name in ("api", "worker"))
    assert {"STRIPE_API_KEY", "STRIPE_API_BASE"}.isdisjoint(api)
    assert stack.stripe_key not in api.values()
    assert "HOLDFAST_TOKEN_SECRET" not in worker
    assert "//holdfast_program@" in api["DATABASE_URL"] == worker["DATABASE_URL"]


def test_database_is_migrated(stack: Stack) -> None:
    with psycopg.connect(stack.database_url.replace("+psycopg", "")) as connection:
        connection.execute("SELECT FROM alembic_version")


def test_killed_worker_is_replaced(stack: Stack, services_loop: asyncio.Runner) -> None:
    killed = stack.pids["worker"]
    services_loop.run(stack.kill_worker())
    assert "worker" not in stack.pids
    services_loop.run(stack.start_worker())
    assert stack.pids["worker"] != killed
    assert status(stack.worker_metrics_url) == 200


def status(url: str) -> int:
    return httpx.get(url, trust_env=False).status_code


def environment_of(pid: int) -> dict[str, str]:
    """What the process was started with (Linux)."""
    entries = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)
