"""Messages are sent to public addresses only, whatever a name resolves to and whatever the receiver answers."""

import asyncio
from typing import Any

import pytest

from activities.webhooks import transport as module
from activities.webhooks.transport import NotDelivered, PublicNetwork, PublicTransport
from tests.activities.webhooks.receiver import receiving


async def sent(url: str, *, allow_private: bool = False) -> int:
    transport = PublicTransport(allow_private=allow_private)
    try:
        return await transport.send(url, {"content-type": "application/json"}, b"{}")
    finally:
        await transport.close()


async def test_private_address_is_refused_before_anything_is_sent() -> None:
    with receiving() as receiver:
        with pytest.raises(NotDelivered, match="address_not_public"):
            await sent(receiver.url)
        assert receiver.received == []
        assert await sent(receiver.url, allow_private=True) == 204


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "0x7f000001", "2130706433"])
async def test_this_machine_is_refused_by_any_name(host: str) -> None:
    with pytest.raises(NotDelivered, match=r"address_not_public|name_not_resolved"):
        await sent(f"http://{host}:9/")


class Names(PublicNetwork):
    """A network in which every name has these addresses."""

    def __init__(self, *addresses: str) -> None:
        super().__init__(allow_private=False)
        self._addresses = addresses

    async def _addresses_of(self, host: str, port: int) -> list[str]:
        return list(self._addresses)


@pytest.mark.parametrize("addresses", [("10.0.0.1",), ("93.184.215.14", "169.254.169.254"), ("fd00::1",)])
async def test_name_with_a_private_address_is_refused(addresses: tuple[str, ...]) -> None:
    with pytest.raises(module.AddressRefused):
        await Names(*addresses).connect_tcp("hook.example", 443)


async def test_redirect_is_not_followed() -> None:
    with receiving() as receiver:
        receiver.statuses = [307]
        assert await sent(receiver.url, allow_private=True) == 307
        assert len(receiver.received) == 1


async def test_silent_receiver_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT_SECONDS", 0.2)

    async def listen(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    held: list[Any] = []
    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotDelivered, match="timeout"):
            await sent(f"http://127.0.0.1:{port}/", allow_private=True)
        for writer in held:
            writer.close()


async def test_name_that_does_not_exist() -> None:
    with pytest.raises(NotDelivered, match="name_not_resolved"):
        await sent("https://nothing.invalid/")
