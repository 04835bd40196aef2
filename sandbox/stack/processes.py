"""One supervised process: started, probed until it is ready, stopped or killed, started again."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sandbox.stack.commands import Command, StartupError, describe_exit, spawn

Probe = Callable[[], Awaitable[bool]]
"""Says whether a process is ready. Raises nothing: "cannot connect yet" is False."""

PROBE_INTERVAL: Final = 0.05
LOG_TAIL_LINES: Final = 25


@dataclass(kw_only=True)
class Process:
    """A command with a name, a readiness probe and a log file, which a second start appends to."""

    name: str
    command: Command
    ready: Probe
    log: Path
    start_timeout: float = 30.0
    _running: asyncio.subprocess.Process | None = field(default=None, init=False)

    @property
    def pid(self) -> int:
        """The process id of the running (or last) process."""
        return self._started().pid

    @property
    def is_running(self) -> bool:
        return self._running is not None and self._running.returncode is None

    async def start(self) -> None:
        """Start the process and return when its probe says it is ready.

        Raises:
            StartupError: it ended, or was not ready in time. It is not running then.
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
        """Ask the process to stop, kill it if it does not in time, and return when it is gone."""
        if self._running is None or not self.is_running:
            return
        with suppress(ProcessLookupError):  # it may end in this moment
            self._running.send_signal(self.command.stop_signal)
        try:
            async with asyncio.timeout(self.command.stop_timeout):
                await self._running.wait()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """SIGKILL, as a crash or the kernel's memory killer would, and return when the process is gone."""
        if self._running is not None and self.is_running:
            with suppress(ProcessLookupError):
                self._running.kill()
            await self._running.wait()

    async def exited(self) -> str:
        """Wait until the process ends; how it ended, in words."""
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

    def _failure(self, what: str) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        tail = "\n".join(f"    {line}" for line in lines) or "    (empty)"
        return f"{self.name} {what}. The end of its log, {self.log}:\n{tail}"
