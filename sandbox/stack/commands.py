"""Child processes that never outlive this one: describing, starting and running them."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

_PR_SET_PDEATHSIG: Final = 1
# Looked up here, since loading a library between fork and exec may deadlock in a process with threads.
_libc: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


class StartupError(RuntimeError):
    """A process of the stack did not become ready. The message has its name, the reason and the end of its log."""


@dataclass(frozen=True, kw_only=True)
class User:
    """The system user a process runs as."""

    uid: int
    gid: int


@dataclass(frozen=True, kw_only=True)
class Command:
    """What to run and how to stop it."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    user: User | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_timeout: float = 10.0
    """Seconds between the stop signal and SIGKILL."""
    orphan_signal: signal.Signals = signal.SIGKILL
    """What the kernel sends if this process dies without stopping the child (Linux only)."""


async def spawn(command: Command, output: int | IO[bytes]) -> asyncio.subprocess.Process:
    """Start a command that ends when this process ends.

    Call it in the main thread: Linux ties the parent-death signal to the *thread* that forked, so the child of
    a pool thread would be killed when that thread ends.
    """
    # Popen switches the user before it calls preexec_fn. The order matters: switching clears the parent-death signal.
    return await asyncio.create_subprocess_exec(
        *command.argv,
        env=command.env,
        cwd=command.cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        user=command.user.uid if command.user else None,
        group=command.user.gid if command.user else None,
        extra_groups=[] if command.user else None,
        # A new session: Ctrl-C reaches this process only, which then stops the others in order.
        start_new_session=True,
        preexec_fn=_parent_death_signal(command.orphan_signal),
    )


async def run_to_end(name: str, command: Command) -> str:
    """Run a command to completion and return its output.

    Raises:
        StartupError: the exit code was not 0. The message has the output.
    """
    process = await spawn(command, subprocess.PIPE)
    try:
        stdout, _ = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    output = stdout.decode(errors="replace")
    if process.returncode != 0:
        raise StartupError(f"{name} failed with {describe_exit(process.returncode or 0)}:\n{output}")
    return output


def describe_exit(code: int) -> str:
    """An exit code as text: "exit code 1", or the name of the signal that ended the process."""
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def _parent_death_signal(orphan_signal: signal.Signals) -> Callable[[], None] | None:
    """The function that the child runs between fork and exec; None if the system has no parent-death signal."""
    if _libc is None:
        return None
    libc, parent = _libc, os.getpid()

    def in_child() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(orphan_signal), 0, 0, 0)
        # If the parent died before the line above, no signal will come.
        if os.getppid() != parent:
            os._exit(1)

    return in_child
