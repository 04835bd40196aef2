"""A Stripe sandbox of one test's own: its time may be moved, and all of its events are the test's."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.stack.stripe_server import SANDBOX_KEY, StripeServer
from tests.conftest import StripeSandbox


@contextmanager
def own_sandbox(loop: asyncio.Runner, directory: Path) -> Iterator[StripeSandbox]:
    server = StripeServer(directory / "stripe", log=directory / "stripe.log")
    try:
        loop.run(server.start())
        yield StripeSandbox(url=server.url, key=SANDBOX_KEY)
    finally:
        loop.run(server.stop())
