"""A sandbox per test, over real HTTP, and a platform that uses it."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import stripe
import uvicorn

from sandbox.stripe.app import create_app
from tests.sandbox.stripe.platform import API_KEY, Platform

# Created once: loading the certificates costs more than most tests, and all of them use plain HTTP.
_TLS = ssl.create_default_context()


@contextlib.asynccontextmanager
async def serving(
    log: Path | None = None, state: Path | None = None, *, strict_version: bool = True
) -> AsyncIterator[str]:
    """Serve a sandbox in this process, on a random port. Yields its URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        app = create_app(log, state, strict_version=strict_version)
        config = uvicorn.Config(app, log_level="error", access_log=False, lifespan="on")
        server = uvicorn.Server(config)
        # `serve` would install signal handlers. The listener queues connections until the server runs.
        running = asyncio.create_task(server._serve([listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


@contextlib.asynccontextmanager
async def platform_at(url: str) -> AsyncIterator[Platform]:
    """A platform that uses the sandbox at `url`."""
    transport = stripe.HTTPXClient(timeout=10, verify_ssl_certs=False)
    client = stripe.StripeClient(API_KEY, base_addresses={"api": url}, http_client=transport, max_network_retries=0)
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False, verify=_TLS) as browser:
            yield Platform(url, client, browser)
    finally:
        await transport.close_async()  # type: ignore[no-untyped-call]


@pytest.fixture
async def sandbox_url(tmp_path: Path) -> AsyncIterator[str]:
    async with serving(log=tmp_path / "requests.jsonl") as url:
        yield url


@pytest.fixture
async def platform(sandbox_url: str) -> AsyncIterator[Platform]:
    stripe.enable_telemetry = False
    async with platform_at(sandbox_url) as platform:
        yield platform


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Ignore stripe-python's use of a deprecated httpx argument."""
    ignore_sdk_warning = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(ignore_sdk_warning)
