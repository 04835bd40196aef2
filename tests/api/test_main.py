from pathlib import Path

import httpx
import pytest

from api.main import create_app
from sandbox.stack.ports import free_port
from tests.api.world import CONNECT_WEBHOOK_KEY, PUBLIC_URL, SIGNING_KEY, WEBHOOK_KEY


@pytest.fixture
def environment(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "HOLDFAST_ENV": "development",
        "DATABASE_URL": database_url,
        "HOLDFAST_TOKEN_SECRET": SIGNING_KEY,
        "STRIPE_WEBHOOK_SECRET": WEBHOOK_KEY,
        "STRIPE_CONNECT_WEBHOOK_SECRET": CONNECT_WEBHOOK_KEY,
        "HOLDFAST_PUBLIC_URL": PUBLIC_URL,
        "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}",
        "TEMPORAL_CONFIG_FILE": str(Path("/nowhere")),
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("environment")
async def test_the_api_starts_without_temporal_and_is_not_ready() -> None:
    app = create_app()
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client,
    ):
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).json()["missing"] == ["temporal"]


@pytest.mark.usefixtures("environment")
async def test_metrics_are_served_at_their_address(monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("HOLDFAST_API_METRICS_ADDRESS", address)
    app = create_app()
    async with app.router.lifespan_context(app), httpx.AsyncClient(trust_env=False) as prometheus:
        answer = await prometheus.get(f"http://{address}/metrics")
    assert "holdfast_month_bookings" in answer.text


@pytest.mark.usefixtures("environment")
async def test_hsts_is_sent_over_https_only(monkeypatch: pytest.MonkeyPatch) -> None:
    responses = []
    for url in ("https://holdfast.example", PUBLIC_URL):
        monkeypatch.setenv("HOLDFAST_PUBLIC_URL", url)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(create_app()), base_url=url) as client:
            responses.append(await client.get("/healthz"))
    assert ["strict-transport-security" in response.headers for response in responses] == [True, False]
