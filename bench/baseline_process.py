"""Runs baseline workflows on a separate worker process."""

import asyncio
from asyncio.subprocess import PIPE, Process
from collections import deque
from types import TracebackType
from typing import Final, Self
from uuid import uuid4

from temporalio.client import Client

from bench.baseline import QUEUE, SIGNALS, BaselineWorkflow
from bench.baseline_worker import READY
from sandbox.stack.commands import Command, StartupError, spawn
from sandbox.stack.environment import PROJECT_ROOT, child_environment, python

_START_TIMEOUT_SECONDS: Final = 30
_WORKFLOW_TIMEOUT_SECONDS: Final = 60
_LOG_LINES: Final = 25


class BaselineWorker:
    """Starts the worker on `async with` and stops it at the end. Raises `StartupError` if it does not start."""

    def __init__(self, client: Client, address: str) -> None:
        self._client = client
        self._command = Command(
            argv=python("-m", "bench.baseline_worker"),
            env=child_environment({"TEMPORAL_ADDRESS": address, "TEMPORAL_NAMESPACE": client.namespace}),
            cwd=PROJECT_ROOT,
        )
        self._waiting: dict[str, asyncio.Semaphore] = {}
        self._ready = asyncio.Event()
        self._log: deque[str] = deque(maxlen=_LOG_LINES)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def __aenter__(self) -> Self:
        self._process: Process = await spawn(self._command, PIPE)
        self._reader = asyncio.create_task(self._read_output())
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait([ready, self._reader], timeout=_START_TIMEOUT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if not self._ready.is_set():
            await self._stop()
            raise StartupError("The baseline workflow's worker did not start:\n" + "\n".join(self._log))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def run_workflow(self, _: int) -> str:
        """Run one workflow to completion and return its id."""
        workflow_id = f"baseline-{uuid4()}"
        waiting = self._waiting[workflow_id] = asyncio.Semaphore(0)
        async with asyncio.timeout(_WORKFLOW_TIMEOUT_SECONDS):
            handle = await self._client.start_workflow(BaselineWorkflow.run, id=workflow_id, task_queue=QUEUE)
            for _signal in range(SIGNALS):
                await waiting.acquire()
                await handle.signal(BaselineWorkflow.go_on)
            await handle.result()
        del self._waiting[workflow_id]
        return workflow_id

    async def _read_output(self) -> None:
        assert self._process.stdout is not None
        async for raw in self._process.stdout:
            line = raw.decode(errors="replace").rstrip()
            if line == READY:
                self._ready.set()
            elif waiting := self._waiting.get(line):
                waiting.release()
            else:
                self._log.append(line)

    async def _stop(self) -> None:
        if self._process.returncode is None:
            self._process.terminate()
        await self._process.wait()
        await self._reader
