"""A process to supervise, and waiting for processes."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

from sandbox.stack.commands import Command
from sandbox.stack.environment import PROJECT_ROOT, child_environment, python
from sandbox.stack.processes import Probe, Process

READY = "import pathlib, sys, time; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
"""Code that creates the file in its argument, and then sleeps."""


def sleeper(
    directory: Path,
    code: str = READY,
    *,
    start_timeout: float = 30,
    stop_timeout: float = 10,
    ready: Probe | None = None,
) -> Process:
    """A Python process that is ready once its code has created a file."""
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


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(90):
        while not condition():  # noqa: ASYNC110 - the condition depends on other processes
            await asyncio.sleep(0.02)
