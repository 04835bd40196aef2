"""Measures elapsed time, and the CPU time of each process as Linux's `/proc` has it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PLAYERS: Final = "players"
"""The bench's own process, which acts as the students, the instructors and their browsers."""

_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
_SETTLE_SECONDS: Final = 0.3


@dataclass
class Usage:
    """Elapsed seconds, and CPU seconds by process."""

    seconds: float = 0.0
    cpu: dict[str, float] = field(default_factory=dict)


class Meter:
    """Measures processes including all their descendants. `processes` are the root process ids, by name."""

    def __init__(self, processes: Mapping[str, int]) -> None:
        self._processes = dict(processes)

    @asynccontextmanager
    async def measuring(self, usage: Usage, until: Callable[[], Awaitable[None]] | None = None) -> AsyncIterator[None]:
        """Add the time and the CPU used inside the block to `usage`.

        The CPU is read later than the clock: once `until` returns, and a little later, since a webhook or a workflow's
        last task may come after the last response.
        """
        before, start = self._read(), time.monotonic()
        yield
        usage.seconds += time.monotonic() - start
        if until:
            await until()
        await asyncio.sleep(_SETTLE_SECONDS)
        after = self._read()
        for name, seconds in after.items():
            usage.cpu[name] = usage.cpu.get(name, 0.0) + seconds - before[name]

    def _read(self) -> dict[str, float]:
        tree = _ProcessTree()
        return {name: tree.cpu_seconds(pid) for name, pid in self._processes.items()} | {PLAYERS: time.process_time()}


class _ProcessTree:
    """A snapshot of all processes. The time of an ended child counts for the parent that waited for it."""

    def __init__(self) -> None:
        self._ticks: dict[int, int] = {}
        self._children: dict[int, list[int]] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                text = stat.read_text()
            except (FileNotFoundError, ProcessLookupError):  # it has ended since
                continue
            # The name, in parentheses, may contain anything. After it: state, parent, …; see proc_pid_stat(5).
            fields = text.rpartition(")")[2].split()
            pid, parent = int(stat.parent.name), int(fields[1])
            self._ticks[pid] = sum(int(ticks) for ticks in fields[11:15])
            self._children.setdefault(parent, []).append(pid)

    def cpu_seconds(self, root: int) -> float:
        """Raises `KeyError` if there is no such process."""
        ticks = self._ticks[root] / _TICKS_PER_SECOND
        return ticks + sum(self.cpu_seconds(child) for child in self._children.get(root, ()))
