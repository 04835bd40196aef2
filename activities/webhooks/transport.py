"""Sends one message over HTTP, only to public addresses.

The address is checked when the connection is made, after DNS resolution, and the connection goes to the address that
was checked: a name that resolves differently a moment later makes no difference. Redirects are not followed.
"""

import asyncio
import socket
from collections.abc import Iterable, Mapping
from typing import Any

import httpcore

from models.domain.webhooks import is_public

TIMEOUT_SECONDS = 15.0
_CONNECT_TIMEOUT_SECONDS = 5.0


class NotDelivered(Exception):
    """No answer. The message is a code, without the URL or anything that the receiver sent."""


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


class WebhookTransport:
    def __init__(self, *, allow_private: bool = False) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            network_backend=PublicNetwork(allow_private=allow_private), max_connections=50, keepalive_expiry=5
        )

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """The status of the answer, whose body is not read. Raises `NotDelivered`."""
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        timeouts = {"connect": _CONNECT_TIMEOUT_SECONDS, "read": TIMEOUT_SECONDS, "write": TIMEOUT_SECONDS}
        try:
            async with (
                asyncio.timeout(TIMEOUT_SECONDS),
                self._pool.stream(
                    "POST", url, headers=fields, content=body, extensions={"timeout": timeouts}
                ) as answer,
            ):
                return answer.status
        except AddressRefused as error:
            raise NotDelivered("address_not_public") from error
        except socket.gaierror as error:
            raise NotDelivered("name_not_resolved") from error
        except (TimeoutError, httpcore.TimeoutException) as error:
            raise NotDelivered("timeout") from error
        except (OSError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
            raise NotDelivered("connection_failed") from error

    async def close(self) -> None:
        await self._pool.aclose()
