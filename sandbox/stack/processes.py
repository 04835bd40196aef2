"""A supervised process: start, readiness probe, stop, kill and restart."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sandbox.stack.commands import Command, StartupError, describe_exit, spawn

Probe = Callable[[], Awaitable[bool]]
"""Returns whether a process is ready. It never raises: "cannot connect yet" is False."""

PROBE_INTERVAL: Final = 0.05
LOG_TAIL_LINES: Final = 25


@dataclass(kw_only=True)
class Process:
    """A command with a name, a readiness probe and a log file. A restart appends to the log."""

    name: str
    command: Command
    ready: Probe
    log: Path
    start_timeout: float = 30.0
    _running: asyncio.subprocess.Process | None = field(default=None, init=False)

    @property
    def pid(self) -> int:
        """The id of the running process, or of the last one."""
        return self._started().pid

    @property
    def is_running(self) -> bool:
        return self._running is not None and self._running.returncode is None

    async def start(self) -> None:
        """Start the process and wait until it is ready.

        Raises:
            StartupError: it ended, or was not ready in time. It is no longer running.
        """
        if self.is_running:
            raise RuntimeError(f"{self.name} is running already, as process {self.pid}")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._running = await spawn(self.command, log)
        try:
            async with asyncio.timeout(self.start_timeout):
                await self._until_ready()
        except TimeoutError:
            await self.stop()
            raise StartupError(self._failure(f"was not ready after {self.start_timeout:g} s")) from None
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Send the stop signal, kill the process after the timeout, and wait until it has ended."""
        if self._running is None or not self.is_running:
            return
        with suppress(ProcessLookupError):  # it may have just ended
            self._running.send_signal(self.command.stop_signal)
        try:
            async with asyncio.timeout(self.command.stop_timeout):
                await self._running.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """Send SIGKILL, as the OOM killer would, and wait until the process has ended."""
        if self._running is not None and self.is_running:
            with suppress(ProcessLookupError):
                self._running.kill()
            await self._running.wait()

    async def exited(self) -> str:
        """Wait until the process ends, and describe its exit code."""
        return describe_exit(await self._started().wait())

    def _started(self) -> asyncio.subprocess.Process:
        if self._running is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._running

    async def _until_ready(self) -> None:
        while not await self.ready():
            if not self.is_running:
                raise StartupError(self._failure(f"ended at start-up with {await self.exited()}"))
            await asyncio.sleep(PROBE_INTERVAL)

    def _failure(self, reason: str) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        tail = "\n".join(f"    {line}" for line in lines) or "    (empty)"
        return f"{self.name} {reason}. The end of its log, {self.log}:\n{tail}"
