"""The API's composition root: `uvicorn --factory api.main:create_app`."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig

from api import health
from api.bookings import calendar, decisions, event_stream, operator, quotes, receipts, rescheduling
from api.bookings import routes as bookings
from api.bookings.client import BookingClient
from api.bookings.event_stream import StreamFinished, StreamOptions, on_stream_finished
from api.bookings.refund_client import RefundClient
from api.catalogue import offerings, slots
from api.http import return_pages
from api.http.auth import LocalTokenVerifier
from api.http.database import Database
from api.http.middleware import Metrics, RequestMiddleware, UnhandledErrorMiddleware
from api.http.notify_listener import NotifyListener
from api.http.problems import handle_problems, unavailable
from api.http.rate_limits import RATE_LIMITED, RateLimits
from api.meetings import routes as meetings
from api.meetings import webhook
from api.openapi import DESCRIPTION, TAGS, Api
from api.payments import disputes, ledger, payouts, stripe_webhooks
from api.payments.disputes import DisputeClient
from api.people import instructors, password_reset
from api.people import routes as people
from api.people.oidc import IdentityProvider
from api.people.onboarding_client import OnboardingClient
from api.people.passwords import Passwords
from api.reconciliation import routes as reconciliation
from api.reconciliation.gauges import ReconciliationGauges
from api.reconciliation.routes import ReconciliationClient
from api.reports import accounting, business_metrics, statements
from api.reports.gauges import BusinessGauges
from api.settings import Settings
from models import logs
from models.db import build_engine
from workflows.client.event_router import StripeEventRouter
from workflows.client.interceptors import RequestIdClientInterceptor

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_LOCAL_TEMPORAL = "localhost:7233"

# A browser lets a page of another origin send and read these. No credentials: there is no cookie of ours to send.
_FROM_PAGES = ["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "X-Request-Id"]
_TO_PAGES = ["Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id"]


def create_app() -> FastAPI:
    """The API with what the environment says. Raises pydantic's `ValidationError` for unusable settings."""
    _log_as_we_do()
    settings = Settings.from_environment()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = build_engine(settings.runtime.database_url.get_secret_value())
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
    public_url = settings.http.holdfast_public_url
    app = Api(
        title="Holdfast",
        version="1",
        summary="Bookings for live one-to-one sessions, with the money held until the session took place.",
        description=DESCRIPTION,
        servers=[{"url": str(public_url).rstrip("/"), "description": "This one."}],
        openapi_tags=TAGS,
        openapi_url="/v1/openapi.json",
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        # A redirect would send a caller's token on to wherever the Host header says.
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.metrics = Metrics()
    app.state.business_gauges = BusinessGauges(app.state.metrics.registry)
    app.state.reconciliation_gauges = ReconciliationGauges(app.state.metrics.registry)
    app.state.passwords = Passwords()
    app.state.limits = RateLimits()
    limited = (
        people,
        password_reset,
        statements,
        instructors,
        offerings,
        slots,
        bookings,
        quotes,
        calendar,
        receipts,
        event_stream,
        meetings,
        decisions,
        rescheduling,
        operator,
        disputes,
        payouts,
        ledger,
        reconciliation,
        business_metrics,
        accounting,
    )
    for module in limited:
        app.include_router(module.router, **RATE_LIMITED)
    for router in (operator.decisions, payouts.for_operators, offerings.own):
        app.include_router(router, **RATE_LIMITED)
    # Stripe, the meetings' provider and the machines come as often as they must, and a page is a constant.
    for router in (stripe_webhooks.router, webhook.router, health.router, *return_pages.ROUTERS):
        app.include_router(router)
    handle_problems(app)
    app.add_exception_handler(StreamFinished, on_stream_finished)
    for error in (OperationalError, InterfaceError, PoolTimeout):
        app.add_exception_handler(error, _on_postgres_away)
    https_only = [("Strict-Transport-Security", "max-age=31536000")] if public_url.scheme == "https" else []
    # From the inside out: a failure's answer, too, is one that a browser lets its page read.
    app.add_middleware(UnhandledErrorMiddleware)
    if settings.http.holdfast_cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.http.holdfast_cors_origins,
            allow_methods=["DELETE", "GET", "PATCH", "POST"],
            allow_headers=_FROM_PAGES,
            expose_headers=_TO_PAGES,
        )
    app.add_middleware(RequestMiddleware, metrics=app.state.metrics, extra_headers=https_only)
    return app


def _use(app: FastAPI, settings: Settings, engine: AsyncEngine, temporal: Client) -> None:
    app.state.database = Database(engine)
    app.state.identity = (
        IdentityProvider(settings.identity, app.state.database)
        if settings.identity.is_used
        else LocalTokenVerifier(settings.http.holdfast_token_secret, app.state.database)
    )
    app.state.streams = StreamOptions(NotifyListener(engine.url))
    # Whoever connected: it goes with every call that a request makes.
    temporal = Client(
        **temporal.config() | {"interceptors": [*temporal.config()["interceptors"], RequestIdClientInterceptor()]}
    )
    app.state.bookings = BookingClient(temporal, settings.runtime.holdfast_task_queue)
    app.state.disputes = DisputeClient(temporal)
    app.state.reconciliations = ReconciliationClient(temporal, settings.runtime.holdfast_task_queue)
    app.state.event_router = StripeEventRouter(temporal, settings.runtime.holdfast_task_queue, engine)
    app.state.refunds = RefundClient(temporal, settings.runtime.holdfast_task_queue)
    app.state.onboarding = OnboardingClient(temporal, settings.runtime.holdfast_task_queue)


def _log_as_we_do() -> None:
    """Uvicorn has set up its own loggers when it asks for the app. Our line of a request takes the place of its."""
    logs.configure()
    uvicorns, access = logging.getLogger("uvicorn"), logging.getLogger("uvicorn.access")
    uvicorns.handlers.clear()
    uvicorns.propagate = True
    access.handlers.clear()
    access.propagate = False


async def _connect() -> Client:
    """It connects when it is first used, so that the API starts, and says what is missing, without Temporal."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", _LOCAL_TEMPORAL)
    return await Client.connect(**config, data_converter=pydantic_data_converter, lazy=True)


async def _on_postgres_away(_: Request, __: Exception) -> Response:
    return unavailable("Postgres does not answer.").response()
