"""A Stripe sandbox of one test's own: the test may advance its clock, and all of its events are the test's."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn

from sandbox.stack.ports import LOOPBACK
from sandbox.stack.stripe_server import SANDBOX_KEY
from sandbox.stripe.app import create_app
from tests.conftest import StripeSandbox


@asynccontextmanager
async def own_sandbox() -> AsyncIterator[StripeSandbox]:
    """Served by the test's own event loop, which takes milliseconds where a process takes most of a second."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        app = create_app(strict_version=True)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False, lifespan="on"))
        # Not `serve`, which would handle the signals of the test process.
        running = asyncio.create_task(server._serve([listener]))
        try:
            yield StripeSandbox(url=f"http://{LOOPBACK}:{listener.getsockname()[1]}", key=SANDBOX_KEY)
        finally:
            server.should_exit = True
            await running
