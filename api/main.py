"""The API's composition root: `uvicorn --factory api.main:create_app`."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.requests import Request
from starlette.responses import Response
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig

from api import (
    bookings,
    decisions,
    health,
    instructors,
    live,
    offerings,
    operator,
    pages,
    people,
    quotes,
    slots,
    webhooks,
)
from api.auth import OwnTokens
from api.bell import Bell
from api.database import Database
from api.edge import Edge, Metrics
from api.identity import IdentityProvider
from api.live import NothingMore, Streams, on_nothing_more
from api.onboarding import OnboardingDesk
from api.passwords import Passwords
from api.problems import SCHEMA_NAME, ProblemDetails, handle_problems, unavailable
from api.saga import Saga
from api.settings import Settings
from models.db import build_engine

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_LOCAL_TEMPORAL = "localhost:7233"


class Api(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """With the one schema that no route returns as its model."""
        schema = super().openapi()
        schema.setdefault("components", {}).setdefault("schemas", {})[SCHEMA_NAME] = ProblemDetails.model_json_schema()
        return schema


def create_app() -> FastAPI:
    """The API with what the environment says. Raises pydantic's `ValidationError` for unusable settings."""
    settings = Settings.from_environment()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = build_engine(settings.place.database_url.get_secret_value())
        try:
            _use(app, settings, engine, await _connect())
            yield
        finally:
            await engine.dispose()

    return _app(settings, lifespan)


def build_app(settings: Settings, engine: AsyncEngine, temporal: Client) -> FastAPI:
    """The API on parts that the caller owns, and closes."""
    app = _app(settings, lifespan=None)
    _use(app, settings, engine, temporal)
    return app


def _app(settings: Settings, lifespan: Lifespan | None) -> FastAPI:
    public_url = settings.door.holdfast_public_url
    app = Api(
        title="Holdfast",
        version="1",
        servers=[{"url": str(public_url).rstrip("/")}],
        openapi_url="/v1/openapi.json",
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.metrics = Metrics()
    app.state.passwords = Passwords()
    modules = (
        people,
        instructors,
        offerings,
        slots,
        bookings,
        quotes,
        live,
        decisions,
        operator,
        webhooks,
        health,
        pages,
    )
    for module in modules:
        app.include_router(module.router)
    app.include_router(operator.decisions)
    app.include_router(pages.onboarding)
    handle_problems(app)
    app.add_exception_handler(NothingMore, on_nothing_more)
    for error in (OperationalError, InterfaceError, PoolTimeout):
        app.add_exception_handler(error, _on_postgres_away)
    https_only = [("Strict-Transport-Security", "max-age=31536000")] if public_url.scheme == "https" else []
    app.add_middleware(Edge, metrics=app.state.metrics, extra_headers=https_only)
    return app


def _use(app: FastAPI, settings: Settings, engine: AsyncEngine, temporal: Client) -> None:
    app.state.database = Database(engine)
    app.state.identity = (
        IdentityProvider(settings.identity, app.state.database)
        if settings.identity.is_used
        else OwnTokens(settings.door.holdfast_token_secret)
    )
    app.state.streams = Streams(Bell(engine.url))
    app.state.saga = Saga(temporal, settings.place.holdfast_task_queue)
    app.state.onboarding = OnboardingDesk(temporal, settings.place.holdfast_task_queue)


async def _connect() -> Client:
    """It connects when it is first used, so that the API starts, and says what is missing, without Temporal."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", _LOCAL_TEMPORAL)
    return await Client.connect(**config, data_converter=pydantic_data_converter, lazy=True)


async def _on_postgres_away(_: Request, __: Exception) -> Response:
    return unavailable("Postgres does not answer.").response()
