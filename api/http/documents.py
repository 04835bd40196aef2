"""PDFs that were drawn, kept in memory until something changes.

A document is a pure function of its values, so they identify it: other values are another document, and nothing has to
be invalidated. Drawing takes a good part of a second of CPU time.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

_MAX_BYTES = 64 * 1024 * 1024
"""A receipt takes about 40 kB."""


class Documents:
    """The documents of this process. The least recently used ones go first."""

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()
        self._bytes = 0
        # One at a time: drawing holds the interpreter lock for most of its time, and requests have to get it, too.
        self._drawing = asyncio.Lock()

    async def get(self, values: object, draw: Callable[[], bytes]) -> bytes:
        """The document of these values, which `draw` draws if it is not kept. Requests for it at once draw it once."""
        # Hashed, so that no name is kept longer than its document.
        key = hashlib.sha256(repr(values).encode()).digest()
        if key not in self._kept:
            async with self._drawing:
                if key not in self._kept:
                    self._keep(key, await asyncio.to_thread(draw))
        self._kept.move_to_end(key)
        return self._kept[key]

    def _keep(self, key: bytes, document: bytes) -> None:
        self._kept[key] = document
        self._bytes += len(document)
        while self._bytes > self._max_bytes and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= len(dropped)


async def _documents(request: Request) -> Documents:
    documents: Documents = request.app.state.documents
    return documents


WithDocuments = Annotated[Documents, Depends(_documents)]
