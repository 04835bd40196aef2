"""Cuts what a client sends into messages, so that a wire can hold one back.

A framing yields the bytes to pass on, and the text of what they complete: an HTTP request, a transaction at its COMMIT,
or a mail. The text is empty for all other bytes. Nothing here is encrypted: the stack is local.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from typing import Final
from uuid import UUID

Message = tuple[bytes, bytes]
Framing = Callable[[asyncio.StreamReader], AsyncIterator[Message]]

_CHUNK: Final = 65_536
_CONTENT_LENGTH: Final = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
# PostgreSQL, "Message Formats": the codes that take the place of a protocol version.
_NEGOTIATIONS: Final = (80877103, 80877104)


async def chunks(reader: asyncio.StreamReader) -> AsyncIterator[Message]:
    """Whatever comes: Temporal's gRPC is compressed, and none of its messages is held back."""
    while data := await reader.read(_CHUNK):
        yield data, b""


async def http_requests(reader: asyncio.StreamReader) -> AsyncIterator[Message]:
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _CONTENT_LENGTH.search(head)
        request = head + await reader.readexactly(int(length[1]) if length else 0)
        yield request, request


async def transactions(reader: asyncio.StreamReader) -> AsyncIterator[Message]:
    """The text of a transaction is its statements with their parameters, as the client sends them.

    A statement that is prepared once has only its name in later messages, so the names are remembered.
    """
    while True:
        startup = await _counted(reader)
        yield startup, b""
        if int.from_bytes(startup[4:8]) not in _NEGOTIATIONS:
            break
    prepared: dict[bytes, bytes] = {}
    text = b""
    while True:
        kind = await reader.readexactly(1)
        raw = await _counted(reader)
        body = raw[4:]
        statement = b""
        if kind == b"Q":
            statement = body.rstrip(b"\0")
        elif kind == b"P":
            name, statement = body.split(b"\0", 2)[:2]
            prepared[name] = statement
        elif kind == b"B":
            _, name, parameters = body.split(b"\0", 2)
            text += prepared.get(name, b"") + parameters
        if statement.startswith(b"BEGIN"):
            text = b""
        yield kind + raw, text if statement == b"COMMIT" else b""


async def mails(reader: asyncio.StreamReader) -> AsyncIterator[Message]:
    while True:
        line = await reader.readuntil(b"\r\n")
        yield line, b""
        if line.upper() == b"DATA\r\n":
            mail = await reader.readuntil(b"\r\n.\r\n")
            yield mail, mail


def mentions(text: bytes, id: UUID) -> bool:
    """In any of the forms in which clients send ids."""
    return any(form in text for form in (str(id).encode(), id.hex.encode(), id.bytes))


async def _counted(reader: asyncio.StreamReader) -> bytes:
    """A length of four bytes, which counts itself, and what follows."""
    length = await reader.readexactly(4)
    return length + await reader.readexactly(int.from_bytes(length) - 4)
