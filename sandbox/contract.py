"""The OpenAPI document, without a running API: for the linters and the client generator."""

from typing import Any

from temporalio.client import Client

from api.main import build_app
from api.settings import HttpSettings, Settings
from models.db import build_engine
from models.settings import PolicySettings, RuntimeSettings

_NOWHERE = "postgresql+psycopg://nobody@127.0.0.1/none"
_SETTINGS = {
    "holdfast_env": "development",
    "holdfast_token_secret": "only for the document: it signs nothing at all",
    "stripe_webhook_secret": "none",
    "stripe_connect_webhook_secret": "none",
    "holdfast_public_url": "https://api.holdfast.example",
}


async def document() -> dict[str, Any]:
    """Nothing is connected: the engine and the client are never used."""
    engine = build_engine(_NOWHERE)
    temporal = await Client.connect("127.0.0.1:1", lazy=True)
    settings = Settings(
        runtime=RuntimeSettings.model_validate({"database_url": _NOWHERE}),
        http=HttpSettings.model_validate(_SETTINGS),
        policy=PolicySettings.model_validate({}),
    )
    try:
        return build_app(settings, engine, temporal).openapi()
    finally:
        await engine.dispose()
