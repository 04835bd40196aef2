"""One supervised process: started, probed until ready, watched, stopped, and never outliving its supervisor."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

Probe = Callable[[], Awaitable[bool]]
"""Says whether a process is ready. Raises nothing: "cannot connect yet" is False."""

PROBE_INTERVAL: Final = 0.05
LOG_TAIL_LINES: Final = 25

_PR_SET_PDEATHSIG: Final = 1
# Looked up here, since loading a library between fork and exec may deadlock in a process with threads.
_libc: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


class StartupError(RuntimeError):
    """A process of the stack did not become ready. The message says which, why, and how its log ends."""


@dataclass(frozen=True, kw_only=True)
class User:
    """The system user a process runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True)
class Command:
    """What to run, and how to ask it to stop."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    user: User | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout: float = 10.0
    """Seconds between the stop signal and SIGKILL."""
    orphan_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends when the supervisor dies without stopping the process (Linux only)."""


@dataclass(kw_only=True)
class Process:
    """A command with a name, a readiness probe and a log file.

    Must be started in the main thread: Linux ties the parent-death signal to the *thread* that forked, so a
    process forked by a pool's thread would be killed when that thread ends.
    """

    name: str
    command: Command
    ready: Probe
    log: Path
    start_timeout: float = 30.0
    _running: asyncio.subprocess.Process | None = field(default=None, init=False)

    @property
    def pid(self) -> int:
        """The process id of the running (or last) process."""
        if self._running is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._running.pid

    @property
    def is_running(self) -> bool:
        return self._running is not None and self._running.returncode is None

    async def start(self) -> None:
        """Start the process and return when its probe says it is ready.

        Raises:
            StartupError: it died, or was not ready in time. It is not running then.
        """
        if self.is_running:
            raise RuntimeError(f"{self.name} is running already, as process {self.pid}")
        self._running = await self._spawn()
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
        if self._running is None:
            return
        if self.is_running:
            self._running.send_signal(self.command.stop_signal)
        try:
            async with asyncio.timeout(self.command.stop_timeout):
                await self._running.wait()
        except TimeoutError:
            self._running.kill()
            await self._running.wait()

    async def kill(self) -> None:
        """SIGKILL, as a crash or the kernel's memory killer would, and wait until the process is gone."""
        if self._running is not None and self.is_running:
            self._running.kill()
            await self._running.wait()

    async def exited(self) -> int:
        """Wait until the process ends; its exit code, or minus the signal that ended it."""
        if self._running is None:
            raise RuntimeError(f"{self.name} was never started")
        return await self._running.wait()

    async def _spawn(self) -> asyncio.subprocess.Process:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        command = self.command
        supervisor = os.getpid()

        def in_child() -> None:
            _die_with(supervisor, command.orphan_signal)

        # Popen switches the user before it calls preexec_fn. That order matters: a change of user clears the
        # parent-death signal.
        with self.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *command.argv,
                env=command.env,
                cwd=command.cwd,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=command.user.uid if command.user else None,
                group=command.user.gid if command.user else None,
                extra_groups=[] if command.user else None,
                # Its own session: Ctrl-C reaches the supervisor alone, which then stops things in order.
                start_new_session=True,
                preexec_fn=in_child if _libc else None,
            )

    async def _until_ready(self) -> None:
        while True:
            if not self.is_running:
                code = await self.exited()
                raise StartupError(self._failure(f"ended at start-up with {_describe_exit(code)}"))
            if await self.ready():
                return
            await asyncio.sleep(PROBE_INTERVAL)

    def _failure(self, what: str) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        tail = "\n".join(f"    {line}" for line in lines) or "    (empty)"
        return f"{self.name} {what}. The end of its log, {self.log}:\n{tail}"


def _die_with(supervisor: int, orphan_signal: signal.Signals) -> None:
    """Runs in the child between fork and exec."""
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, int(orphan_signal), 0, 0, 0)
    # The supervisor may have died before the line above: then nobody is left to send the signal.
    if os.getppid() != supervisor:
        os._exit(1)


def _describe_exit(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
