"""The whole stack with wires in between, whose parts can be killed, away or slow."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from sandbox.faults import protocols
from sandbox.faults.wire import Wire
from sandbox.stack.commands import StartupError
from sandbox.stack.ports import LOOPBACK
from sandbox.stack.processes import Process
from sandbox.stack.stack import Stack

AWAY_SECONDS: Final = 20.0
SLOW_SECONDS: Final = 10.0
_STARTS: Final = 3
_DELAY: Final = 0.25
"""In each direction, so a transaction of five statements takes two seconds and a half longer."""

_MESSAGE_ID: Final = re.compile(rb"(?im)^message-id: <([0-9a-f-]{36})@")


class Part(StrEnum):
    WORKER = "worker"
    API = "api"
    POSTGRES = "postgres"
    TEMPORAL = "temporal"
    STRIPE = "stripe"
    MAIL = "mailbox"


class Fault(StrEnum):
    KILLED = "killed"
    """SIGKILL, and started again at once."""
    AWAY = "away"
    """SIGKILL, and started again after `AWAY_SECONDS`."""
    SLOW = "slow"
    """All that goes to it and comes from it is late."""


class WiredStack(Stack):
    """A `Stack` whose API and worker reach each server over a wire of their own, and whose API is reached over one."""

    def __init__(self, directory: Path, *, env: Mapping[str, str] | None = None) -> None:
        super().__init__(directory, env=env)
        servers = {
            Part.POSTGRES: (_port(self.database_url), protocols.transactions),
            Part.TEMPORAL: (int(self.temporal_address.rpartition(":")[2]), protocols.chunks),
            Part.STRIPE: (_port(self.stripe_url), protocols.http_requests),
            Part.MAIL: (int(super().worker_environment["HOLDFAST_SMTP_PORT"]), protocols.mails),
        }
        self._wires = {
            (client, server): Wire(port, framing)
            for server, (port, framing) in servers.items()
            for client in (Part.API, Part.WORKER)
        }
        self.delivered: Counter[str] = Counter()
        """How often the mail server accepted each mail, by its id in the outbox. The mailbox itself may be killed."""
        self._wires[Part.WORKER, Part.MAIL].on_answer = self._count_mail
        self._front = Wire(_port(self.api_url), protocols.http_requests)
        self.front_url = f"http://{LOOPBACK}:{self._front.port}"
        """Where people reach the API. Stripe and the meeting provider do without a wire."""

    async def __aenter__(self) -> Self:
        await asyncio.gather(*(wire.start() for wire in self.wires))
        try:
            return await super().__aenter__()
        except BaseException:
            await self._cut()
            raise

    async def _stop(self) -> None:
        await super()._stop()
        await self._cut()

    @property
    def wires(self) -> list[Wire]:
        return [*self._wires.values(), self._front]

    def wire(self, server: Part) -> Wire:
        """The worker's to this server, or the one to the API."""
        return self._front if server is Part.API else self._wires[Part.WORKER, server]

    @property
    def environment(self) -> dict[str, str]:
        return self._over_wires(Part.API, super().environment)

    @property
    def worker_environment(self) -> dict[str, str]:
        return self._over_wires(Part.WORKER, super().worker_environment)

    def _over_wires(self, client: Part, env: dict[str, str]) -> dict[str, str]:
        ports = {server: self._wires[client, server].port for server in (Part.POSTGRES, Part.TEMPORAL)}
        database = urlsplit(env["DATABASE_URL"])
        env |= {
            "DATABASE_URL": env["DATABASE_URL"].replace(f":{database.port}/", f":{ports[Part.POSTGRES]}/"),
            "TEMPORAL_ADDRESS": f"{LOOPBACK}:{ports[Part.TEMPORAL]}",
        }
        if client is Part.WORKER:
            env["STRIPE_API_BASE"] = f"http://{LOOPBACK}:{self._wires[client, Part.STRIPE].port}"
            env["HOLDFAST_SMTP_PORT"] = str(self._wires[client, Part.MAIL].port)
        return env

    @asynccontextmanager
    async def faulty(self, part: Part, fault: Fault) -> AsyncIterator[None]:
        """The part has the fault when the block begins, and is well again some time after it."""
        if fault is Fault.SLOW:
            wires = [wire for ends, wire in self._wires.items() if part in ends]
            if part is Part.API:
                wires.append(self._front)
            for wire in wires:
                wire.delay = _DELAY
            yield
            await asyncio.sleep(SLOW_SECONDS)
            for wire in wires:
                wire.delay = 0.0
            return
        process = self.processes[part]
        await process.kill()
        # Until the wires have noticed.
        await asyncio.sleep(0.05)
        yield
        if fault is Fault.AWAY:
            await asyncio.sleep(AWAY_SECONDS)
        await _start(process)

    def _count_mail(self, mail: bytes, answer: bytes) -> None:
        if answer.startswith(b"250") and (id := _MESSAGE_ID.search(mail)):
            self.delivered[id[1].decode()] += 1

    async def _cut(self) -> None:
        await asyncio.gather(*(wire.stop() for wire in self.wires))


async def _start(process: Process) -> None:
    """As a supervisor does, again and again: the API is not ready while Temporal or Postgres is away."""
    for _ in range(_STARTS):
        try:
            await process.start()
        except StartupError:
            continue
        return
    await process.start()


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port
