"""Sends a message or reads a file over HTTP, only at public addresses.

The address is checked when the connection is made, after DNS resolution, and the connection goes to the address that
was checked: a name that resolves differently a moment later makes no difference. Redirects are not followed: who does
so connects again, and that address is checked as well.
"""

import asyncio
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import httpcore

from models.domain.webhooks import is_public

TIMEOUT_SECONDS = 15.0
_CONNECT_TIMEOUT_SECONDS = 5.0
_GET_HEADERS = [(b"user-agent", b"Holdfast"), (b"accept-encoding", b"identity")]


class NotDelivered(Exception):
    """No answer. The message is a code, without the URL or anything that the receiver sent."""


@dataclass(frozen=True)
class Answer:
    status: int
    location: str | None
    """Where a redirect leads to."""
    body: bytes


class AddressRefused(OSError):
    """The endpoint's name resolves to an address that is not public."""


class PublicNetwork(httpcore.AsyncNetworkBackend):
    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        addresses = await self._addresses_of(host, port)
        # All of them: which one a client would use is up to the resolver.
        if not self._allow_private and not all(map(is_public, addresses)):
            raise AddressRefused("an address is not public")
        for address in addresses:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _addresses_of(self, host: str, port: int) -> list[str]:
        """At least one. Raises `socket.gaierror`."""
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return list(dict.fromkeys(str(each[4][0]) for each in found))


class PublicTransport:
    def __init__(self, *, allow_private: bool = False, network: PublicNetwork | None = None) -> None:
        network = network or PublicNetwork(allow_private=allow_private)
        self._pool = httpcore.AsyncConnectionPool(network_backend=network, max_connections=50, keepalive_expiry=5)

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """The status of the answer, whose body is not read. Raises `NotDelivered`."""
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        with _failures_as_codes():
            async with (
                asyncio.timeout(TIMEOUT_SECONDS),
                self._pool.stream("POST", url, headers=fields, content=body, extensions=_timeouts()) as answer,
            ):
                return answer.status

    async def get(self, url: str, max_bytes: int) -> Answer:
        """The answer with its whole body. Raises `NotDelivered`, with `too_large` beyond `max_bytes`."""
        body = b""
        with _failures_as_codes():
            async with (
                asyncio.timeout(TIMEOUT_SECONDS),
                self._pool.stream("GET", url, headers=_GET_HEADERS, extensions=_timeouts()) as answer,
            ):
                async for chunk in answer.aiter_stream():
                    body += chunk
                    if len(body) > max_bytes:
                        raise NotDelivered("too_large")
        locations = [value.decode("latin-1") for name, value in answer.headers if name.lower() == b"location"]
        is_redirect = 300 <= answer.status < 400 and locations
        return Answer(answer.status, urljoin(url, locations[0]) if is_redirect else None, body)

    async def close(self) -> None:
        await self._pool.aclose()


def _timeouts() -> dict[str, Any]:
    return {"timeout": {"connect": _CONNECT_TIMEOUT_SECONDS, "read": TIMEOUT_SECONDS, "write": TIMEOUT_SECONDS}}


@contextmanager
def _failures_as_codes() -> Iterator[None]:
    try:
        yield
    except AddressRefused as error:
        raise NotDelivered("address_not_public") from error
    except socket.gaierror as error:
        raise NotDelivered("name_not_resolved") from error
    except (TimeoutError, httpcore.TimeoutException) as error:
        raise NotDelivered("timeout") from error
    # httpcore refuses a URL of another kind with a ValueError of its own.
    except (
        OSError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol, UnicodeError, ValueError
    ) as error:  # fmt: skip
        raise NotDelivered("connection_failed") from error
