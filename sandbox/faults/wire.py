"""A wire between a program and a server: a TCP proxy that can be slow, and that can hold one message back.

So a step of a booking is held open from outside, and the programs under test need no hooks.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from sandbox.faults.protocols import Framing
from sandbox.stack.ports import LOOPBACK, free_port

_CHUNK: Final = 65_536
_READER_LIMIT: Final = 2**22
"""Longer than any mail with its attachments."""


class Moment(StrEnum):
    """Where a step stands when the fault comes."""

    BEFORE = "before"
    """The message is on its way. If its client dies, it never arrives."""
    BETWEEN = "between"
    """The message has taken effect, and its answer is on its way."""
    AFTER = "after"
    """The answer has just arrived: it is held until the moment before the fault."""


@dataclass
class Trap:
    """Catches one message, at one moment. What it holds back waits for `release`."""

    catches: Callable[[bytes], bool]
    moment: Moment
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    _released: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        self._released.set()

    async def hold(self) -> None:
        self.reached.set()
        await self._released.wait()


@dataclass
class _Connection:
    trap: Trap | None = None
    """Set from the caught message until the first bytes of its answer."""
    sent: bytes = b""
    """The last message with a text, until it is answered."""


class Wire:
    """Listens on a free loopback port, and passes everything on to the server's."""

    def __init__(self, server_port: int, framing: Framing) -> None:
        self.port = free_port()
        self.delay = 0.0
        """How many seconds late each message arrives, in both directions."""
        self.on_answer: Callable[[bytes, bytes], None] = lambda message, answer: None
        """Called with a message and the first bytes of its answer, when the server sends them."""
        self._server_port = server_port
        self._framing = framing
        self._traps: list[Trap] = []
        self._listener: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._listener = await asyncio.start_server(self._connect, LOOPBACK, self.port)

    async def stop(self) -> None:
        if self._listener:
            self._listener.close()
        for direction in self._open:
            direction.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def set_trap(self, trap: Trap) -> None:
        self._traps.append(trap)

    def remove_trap(self, trap: Trap) -> None:
        """Let what it holds go on. One that caught nothing catches nothing any more."""
        trap.release()
        if trap in self._traps:
            self._traps.remove(trap)

    async def _connect(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        try:
            server, to_server = await asyncio.open_connection(LOOPBACK, self._server_port)
        except OSError:
            to_client.transport.abort()
            return
        connection, received = _Connection(), asyncio.StreamReader(_READER_LIMIT)
        # The first that ends is the end of all: what is held of a client that has died never arrives.
        directions = {
            asyncio.create_task(_receive(client, received)),
            asyncio.create_task(self._pass_messages(connection, received, to_server)),
            asyncio.create_task(self._pass_answers(connection, server, to_client)),
        }
        self._open |= directions
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        for direction in directions:
            direction.cancel()
        await asyncio.gather(*directions, return_exceptions=True)
        self._open -= directions
        to_client.close()
        to_server.close()

    async def _pass_messages(
        self, connection: _Connection, received: asyncio.StreamReader, to_server: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            async for data, text in self._framing(received):
                await self._lag()
                if text:
                    connection.sent, connection.trap = text, self._caught(text)
                    if connection.trap and connection.trap.moment is Moment.BEFORE:
                        await connection.trap.hold()
                to_server.write(data)
                await to_server.drain()

    async def _pass_answers(
        self, connection: _Connection, server: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await server.read(_CHUNK):
                await self._lag()
                trap, sent = connection.trap, connection.sent
                connection.trap, connection.sent = None, b""
                if sent:
                    self.on_answer(sent, data)
                if trap and trap.moment is not Moment.BEFORE:
                    await trap.hold()
                to_client.write(data)
                await to_client.drain()

    async def _lag(self) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)

    def _caught(self, text: bytes) -> Trap | None:
        trap = next((trap for trap in self._traps if trap.catches(text)), None)
        if trap:
            self._traps.remove(trap)
        return trap


async def _receive(client: asyncio.StreamReader, received: asyncio.StreamReader) -> None:
    """Read on while a message is held, or the client's death would go unnoticed."""
    with contextlib.suppress(OSError):
        while data := await client.read(_CHUNK):
            received.feed_data(data)
