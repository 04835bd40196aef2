"""A supervised process: it gets ready or says why not, and never outlives its supervisor."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sandbox.stack.commands import Command, StartupError
from sandbox.stack.environment import PROJECT_ROOT, child_environment, python
from sandbox.stack.processes import Probe, Process

_READY = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
_DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + _READY
_DYING = "print('the port is taken'); raise SystemExit(3)"

# Starts a process as our stack does, says its id, and then waits to be killed.
_SUPERVISOR = """
import asyncio, sys
from pathlib import Path
from tests.sandbox.stack.test_processes import sleeper

async def main():
    process = sleeper(Path(sys.argv[1]))
    await process.start()
    print(process.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def sleeper(
    directory: Path,
    code: str = _READY,
    *,
    start_timeout: float = 30,
    stop_timeout: float = 10,
    ready: Probe | None = None,
) -> Process:
    """A Python process that is ready when its file is there."""
    ready_file = directory / "ready"

    async def is_ready() -> bool:
        return await asyncio.to_thread(ready_file.exists)

    return Process(
        name="sleeper",
        command=Command(
            argv=python("-c", code, str(ready_file)),
            env=child_environment({}),
            cwd=PROJECT_ROOT,
            stop_timeout=stop_timeout,
        ),
        ready=ready or is_ready,
        log=directory / "sleeper.log",
        start_timeout=start_timeout,
    )


@asynccontextmanager
async def started(process: Process) -> AsyncIterator[Process]:
    await process.start()
    try:
        yield process
    finally:
        await process.kill()


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(90):
        while not condition():  # noqa: ASYNC110 - what it waits for are other processes
            await asyncio.sleep(0.02)


async def test_a_started_process_is_ready_and_a_stopped_one_is_gone(tmp_path: Path) -> None:
    process = sleeper(tmp_path)
    await process.start()
    assert (tmp_path / "ready").exists()
    assert process.is_running
    await process.stop()
    assert is_gone(process.pid)


async def test_one_that_ends_at_start_up_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    process = sleeper(tmp_path, _DYING)
    with pytest.raises(StartupError, match=r"(?s)sleeper ended at start-up with exit code 3.*the port is taken"):
        await process.start()


async def test_one_that_never_gets_ready_is_reported_and_gone(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    process = sleeper(tmp_path, start_timeout=0.2, ready=never)
    with pytest.raises(StartupError, match=r"not ready after 0\.2 s"):
        await process.start()
    assert is_gone(process.pid)


async def test_one_whose_start_is_cancelled_is_gone(tmp_path: Path) -> None:
    process = sleeper(tmp_path, _READY.replace("touch()", "exists()"))
    start = asyncio.create_task(process.start())
    await eventually(lambda: process.is_running)
    start.cancel()
    with pytest.raises(asyncio.CancelledError):
        await start
    assert is_gone(process.pid)


async def test_one_that_ignores_the_stop_signal_is_killed(tmp_path: Path) -> None:
    async with started(sleeper(tmp_path, _DEAF, stop_timeout=0.2)) as process:
        await process.stop()
        assert await process.exited() == "SIGKILL"


async def test_a_killed_one_can_be_started_again(tmp_path: Path) -> None:
    async with started(sleeper(tmp_path)) as process:
        first = process.pid
        await process.kill()
        assert await process.exited() == "SIGKILL"
        await process.start()
        assert process.is_running
        assert process.pid != first


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a parent-death signal")
async def test_a_killed_supervisor_leaves_nothing_running(tmp_path: Path) -> None:
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


def test_a_child_sees_no_settings_of_other_services(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TEMPORAL_API_KEY", "STRIPE_API_KEY", "PGPASSWORD", "DATABASE_URL", "HOLDFAST_SMTP_PASSWORD"):
        monkeypatch.setenv(name, "someone else's")
    monkeypatch.setenv("HOLDFAST_FEE_BPS", "1500")
    env = child_environment({"DATABASE_URL": "ours"})
    assert {"TEMPORAL_API_KEY", "STRIPE_API_KEY", "PGPASSWORD", "HOLDFAST_SMTP_PASSWORD"}.isdisjoint(env)
    assert env["DATABASE_URL"] == "ours"
    assert env["HOLDFAST_FEE_BPS"] == "1500"
