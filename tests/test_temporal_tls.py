"""The environment alone connects the API and the worker to a Temporal with mTLS, or with TLS and an API key."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from temporalio.client import Client

from api.main import create_app
from sandbox.stack.commands import Command, spawn
from sandbox.stack.environment import PROJECT_ROOT, child_environment, python
from tests.api.world import CONNECT_WEBHOOK_KEY, PUBLIC_URL, SIGNING_KEY, WEBHOOK_KEY
from tests.tls_proxy import SERVER_NAME, Authority, tls_proxy
from workflows.client.schedules import RECONCILIATION_SCHEDULE, SWEEP_SCHEDULE
from workflows.client.task_queues import describe

API_KEY = "an-api-key-of-temporal-cloud"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def settings(program_url: str) -> dict[str, str]:
    return {
        "HOLDFAST_ENV": "development",
        "DATABASE_URL": program_url,
        "HOLDFAST_TOKEN_SECRET": SIGNING_KEY,
        "STRIPE_WEBHOOK_SECRET": WEBHOOK_KEY,
        "STRIPE_CONNECT_WEBHOOK_SECRET": CONNECT_WEBHOOK_KEY,
        "STRIPE_API_KEY": "sk_test_unused",
        "HOLDFAST_PUBLIC_URL": PUBLIC_URL,
        "HOLDFAST_TASK_QUEUE": f"tls-{uuid4()}",
        "TEMPORAL_CONFIG_FILE": os.devnull,
        "TEMPORAL_TLS_SERVER_NAME": SERVER_NAME,
    }


async def _missing(monkeypatch: pytest.MonkeyPatch, settings: Mapping[str, str]) -> list[str]:
    """What the API misses with these settings."""
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    app = create_app()
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
        missing: list[str] = (await client.get("/readyz")).json().get("missing", [])
    return missing


@asynccontextmanager
async def _worker(settings: Mapping[str, str], temporal_address: str) -> AsyncIterator[None]:
    """A worker that polls."""
    temporal = await Client.connect(temporal_address)
    command = Command(argv=python("worker.py"), env=child_environment(settings), cwd=PROJECT_ROOT)
    process = await spawn(command, asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(30):
            while not all(state.pollers for state in await describe(temporal, settings["HOLDFAST_TASK_QUEUE"])):
                assert process.returncode is None
                await asyncio.sleep(0.2)
        yield
    finally:
        process.terminate()
        await process.wait()
        # The worker's. The other tests have no use for it.
        for schedule in (RECONCILIATION_SCHEDULE, SWEEP_SCHEDULE):
            await temporal.get_schedule_handle(schedule).delete()


async def test_client_certificates(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], authority: Authority, temporal_address: str
) -> None:
    certificate, key = authority.issue("holdfast.example")
    async with tls_proxy(authority, temporal_address, asks_for_certificates=True) as proxy:
        settings |= {
            "TEMPORAL_ADDRESS": f"127.0.0.1:{proxy.port}",
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(authority.certificate),
        }
        assert await _missing(monkeypatch, settings) == ["temporal"]
        settings |= {"TEMPORAL_TLS_CLIENT_CERT_PATH": str(certificate), "TEMPORAL_TLS_CLIENT_KEY_PATH": str(key)}
        assert await _missing(monkeypatch, settings) == []
        proxy.clients.clear()
        async with _worker(settings, temporal_address):
            assert proxy.clients == {"holdfast.example"}


async def test_api_key(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], authority: Authority, temporal_address: str
) -> None:
    async with tls_proxy(authority, temporal_address, asks_for_certificates=False) as proxy:
        settings |= {
            "TEMPORAL_ADDRESS": f"127.0.0.1:{proxy.port}",
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(authority.certificate),
            "TEMPORAL_API_KEY": API_KEY,
        }
        assert await _missing(monkeypatch, settings) == []
        assert proxy.authorizations == {f"Bearer {API_KEY}"}
        proxy.authorizations.clear()
        async with _worker(settings, temporal_address):
            assert proxy.authorizations == {f"Bearer {API_KEY}"}
