"""A supervised process: it becomes ready or reports why not, and never outlives its supervisor."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sandbox.stack.commands import StartupError
from sandbox.stack.environment import PROJECT_ROOT, child_environment, python
from sandbox.stack.processes import Process
from tests.sandbox.stack.processes import READY, eventually, is_gone, sleeper

_IGNORES_SIGTERM = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + READY
_DYING = "print('the port is taken'); raise SystemExit(3)"

# Starts a process as the stack does, prints its id, and waits to be killed.
_SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from tests.sandbox.stack.processes import sleeper

async def main():
    process = sleeper(Path(sys.argv[1]))
    await process.start()
    print(process.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@asynccontextmanager
async def started(process: Process) -> AsyncIterator[Process]:
    await process.start()
    try:
        yield process
    finally:
        await process.kill()


async def test_process_is_ready_after_start_and_gone_after_stop(tmp_path: Path) -> None:
    process = sleeper(tmp_path)
    await process.start()
    assert (tmp_path / "ready").exists()
    assert process.is_running
    await process.stop()
    assert is_gone(process.pid)


async def test_process_that_ends_at_startup_is_reported_with_its_log(tmp_path: Path) -> None:
    process = sleeper(tmp_path, _DYING)
    with pytest.raises(StartupError, match=r"(?s)sleeper ended at start-up with exit code 3.*the port is taken"):
        await process.start()


async def test_process_that_never_becomes_ready_is_reported_and_stopped(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    process = sleeper(tmp_path, start_timeout=0.2, ready=never)
    with pytest.raises(StartupError, match=r"not ready after 0\.2 s"):
        await process.start()
    assert is_gone(process.pid)


async def test_process_is_stopped_when_its_start_is_cancelled(tmp_path: Path) -> None:
    process = sleeper(tmp_path, READY.replace("touch()", "exists()"))
    start = asyncio.create_task(process.start())
    await eventually(lambda: process.is_running)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert is_gone(process.pid)


async def test_process_that_ignores_the_stop_signal_is_killed(tmp_path: Path) -> None:
    async with started(sleeper(tmp_path, _IGNORES_SIGTERM, stop_timeout=0.2)) as process:
        await process.stop()
        assert await process.exited() == "SIGKILL"


async def test_killed_process_can_be_restarted(tmp_path: Path) -> None:
    async with started(sleeper(tmp_path)) as process:
        first = process.pid
        await process.kill()
        assert await process.exited() == "SIGKILL"
        await process.start()
        assert process.is_running
        assert process.pid != first


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a parent-death signal")
async def test_children_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    supervisor = await asyncio.create_subprocess_exec(
        *python("-c", _SUPERVISOR, str(tmp_path)),
        cwd=PROJECT_ROOT,
        env=child_environment({}),
        stdout=subprocess.PIPE,
    )
    assert supervisor.stdout is not None
    child = int(await supervisor.stdout.readline())
    assert not is_gone(child)
    supervisor.send_signal(signal.SIGKILL)
    await supervisor.wait()
    await eventually(lambda: is_gone(child))


def test_child_environment_has_no_settings_of_other_services(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TEMPORAL_API_KEY", "STRIPE_API_KEY", "PGPASSWORD", "DATABASE_URL", "HOLDFAST_SMTP_PASSWORD"):
        monkeypatch.setenv(name, "someone else's")
    monkeypatch.setenv("HOLDFAST_FEE_BPS", "1500")
    env = child_environment({"DATABASE_URL": "ours"})
    assert {"TEMPORAL_API_KEY", "STRIPE_API_KEY", "PGPASSWORD", "HOLDFAST_SMTP_PASSWORD"}.isdisjoint(env)
    assert env["DATABASE_URL"] == "ours"
    assert env["HOLDFAST_FEE_BPS"] == "1500"
