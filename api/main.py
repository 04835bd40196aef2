"""The API's composition root: `uvicorn --factory api.main:create_app`."""

import gc
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, nullcontext

from fastapi import Depends, FastAPI
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig

from api import health, openapi
from api.agents import door as agents
from api.bookings import routers as bookings
from api.bookings.client import BookingClient
from api.bookings.event_stream import EventStreams, StreamFinished, on_stream_finished
from api.bookings.refund_client import RefundClient
from api.catalogue import routers as catalogue
from api.http.auth import LocalTokenVerifier
from api.http.backpressure import Backpressure
from api.http.database import Database
from api.http.documents import Documents
from api.http.middleware import Metrics, RequestMiddleware, UnhandledErrorMiddleware
from api.http.notify_listener import NotifyListener
from api.http.problems import handle_problems, unavailable
from api.http.query_parameters import refuse_unknown_parameters
from api.http.rate_limits import RATE_LIMITED, RateLimits, redis_storage
from api.http.representations import CompressionMiddleware, ETagMiddleware
from api.http.service_tokens import ServiceTokenVerifier
from api.meetings import routers as meetings
from api.metrics import serve_metrics
from api.openapi import DESCRIPTION, TAGS, Api
from api.pages import routers as pages
from api.pages.errors import PageErrors
from api.payments import routers as payments
from api.payments.adjustments import AdjustmentClient
from api.payments.disputes import DisputeClient
from api.people import routers as people
from api.people.oidc import IdentityProvider
from api.people.onboarding_client import OnboardingClient
from api.people.passwords import AsyncPasswordHasher
from api.reconciliation import routers as reconciliation
from api.reconciliation.gauges import ReconciliationGauges
from api.reconciliation.routes import ReconciliationClient
from api.reference import routes as reference
from api.reports import routers as reports
from api.reports.attention import AttentionGauges, TaskQueueGauges
from api.reports.gauges import BusinessGauges
from api.settings import Settings
from api.webhooks import routers as webhooks
from models import logs
from models.db import build_engine
from models.trace_export import exporting, trace_queries
from workflows.client.event_router import StripeEventRouter
from workflows.client.interceptors import traced

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_LOCAL_TEMPORAL = "localhost:7233"

_CORS_REQUEST_HEADERS = [
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Last-Event-ID",
    "X-Request-Id",
]
_CORS_RESPONSE_HEADERS = ["ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id"]


def create_app() -> FastAPI:
    """The API, configured from the environment. Raises `InvalidSettings`, which ends the process."""
    _configure_logging()
    settings = Settings.from_environment()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with exporting("holdfast-api"):
            engine = build_engine(settings.runtime.database_url.get_secret_value())
            trace_queries(engine)
            try:
                _attach_clients(app, settings, engine, await _temporal_client())
                with _metrics_server(app, settings):
                    async with app.state.agents.running():
                        _exclude_from_garbage_collection()
                        yield
                await app.state.streams.feed.close()
            finally:
                await engine.dispose()

    return _build(settings, lifespan)


def _exclude_from_garbage_collection() -> None:
    """What is there now stays. A full collection would look at all of it, and every request would wait for 100 ms."""
    gc.collect()
    gc.freeze()


def _metrics_server(app: FastAPI, settings: Settings) -> AbstractContextManager[object]:
    address = settings.http.metrics_address
    return serve_metrics(app, *address) if address else nullcontext()


def build_app(settings: Settings, engine: AsyncEngine, temporal: Client) -> FastAPI:
    """The API on an engine and a Temporal client that the caller owns and closes."""
    app = _build(settings, lifespan=None)
    _attach_clients(app, settings, engine, temporal)
    return app


def _build(settings: Settings, lifespan: Lifespan | None) -> FastAPI:
    app = Api(
        title="Holdfast",
        version="1",
        summary="Bookings for live one-to-one sessions, with the money held until the session took place.",
        description=DESCRIPTION,
        servers=[{"url": str(settings.http.holdfast_public_url).rstrip("/"), "description": "This one."}],
        openapi_tags=TAGS,
        dependencies=[Depends(refuse_unknown_parameters)],
        # `api.reference` serves the document and a page. FastAPI's own pages load scripts from a CDN.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        # A redirect would send the caller's token to whatever host the Host header names.
        redirect_slashes=False,
        # No logs: they would have the messages of errors.
        telemetry={"metrics": False, "logs": False, "operation_spans": False, "exclude": _is_probe},
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.metrics = Metrics()
    app.state.business_gauges = BusinessGauges(app.state.metrics.registry)
    app.state.reconciliation_gauges = ReconciliationGauges(app.state.metrics.registry)
    app.state.attention_gauges = AttentionGauges(app.state.metrics.registry)
    app.state.task_queue_gauges = TaskQueueGauges(app.state.metrics.registry)
    app.state.password_hasher = AsyncPasswordHasher()
    limits_url = settings.http.holdfast_limits_url
    app.state.limits = RateLimits(redis_storage(limits_url.get_secret_value()) if limits_url else None)
    app.state.backpressure = Backpressure()
    app.state.documents = Documents()
    app.state.agents = agents.AgentsDoor(app)
    _include_routers(app, settings)
    _handle_errors(app)
    _add_middleware(app, settings)
    return app


def _is_probe(scope: Scope) -> bool:
    return scope.get("path") in health.PATHS


def _include_routers(app: FastAPI, settings: Settings) -> None:
    limited = [*pages.ROUTERS] if settings.http.holdfast_pages else []
    for folder in (people, catalogue, bookings, meetings, payments, webhooks, reconciliation, reports):
        limited += folder.ROUTERS
    for router in (*limited, agents.router, pages.MAILED):
        app.include_router(router, **RATE_LIMITED)
    # Not limited: webhooks and probes, whose rate the sender decides, and static pages.
    static = (health.router, reference.router, *pages.STATIC, openapi.router)
    for router in (*payments.WEBHOOKS, *meetings.WEBHOOKS, *static):
        app.include_router(router)


def _handle_errors(app: FastAPI) -> None:
    handle_problems(app)
    app.add_exception_handler(StreamFinished, on_stream_finished)
    for error in (OperationalError, InterfaceError, PoolTimeout):
        app.add_exception_handler(error, _on_postgres_unavailable)


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """From the inside out. CORS is outside the 500 fallback, so that a browser lets its page read a 500 as well."""
    app.add_middleware(UnhandledErrorMiddleware)
    app.add_middleware(ETagMiddleware)
    app.add_middleware(CompressionMiddleware)
    app.add_middleware(PageErrors)
    if settings.http.holdfast_cors_origins:
        # Without `allow_credentials`: the API reads no cookies.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.http.holdfast_cors_origins,
            allow_methods=["DELETE", "GET", "PATCH", "POST", "PUT"],
            allow_headers=_CORS_REQUEST_HEADERS,
            expose_headers=_CORS_RESPONSE_HEADERS,
        )
    is_https = settings.http.holdfast_public_url.scheme == "https"
    https_only = [("Strict-Transport-Security", "max-age=31536000")] if is_https else []
    app.add_middleware(RequestMiddleware, metrics=app.state.metrics, extra_headers=https_only)


def _attach_clients(app: FastAPI, settings: Settings, engine: AsyncEngine, temporal: Client) -> None:
    app.state.database = Database(engine)
    people = (
        IdentityProvider(settings.identity, app.state.database)
        if settings.identity.is_used
        else LocalTokenVerifier(settings.http.holdfast_token_secret, app.state.database)
    )
    app.state.people_identity = people
    app.state.identity = ServiceTokenVerifier(people, app.state.database)
    app.state.streams = EventStreams(NotifyListener(engine.url))
    # Here, so that a client passed to `build_app` passes on the trace as well.
    temporal = traced(temporal)
    app.state.temporal = temporal
    task_queue = settings.runtime.holdfast_task_queue
    app.state.bookings = BookingClient(temporal, task_queue)
    app.state.disputes = DisputeClient(temporal)
    app.state.reconciliations = ReconciliationClient(temporal, task_queue)
    app.state.event_router = StripeEventRouter(temporal, task_queue, engine)
    app.state.refunds = RefundClient(temporal, task_queue)
    app.state.adjustments = AdjustmentClient(temporal, task_queue)
    app.state.onboarding = OnboardingClient(temporal, task_queue)


def _configure_logging() -> None:
    """Route uvicorn's logs through ours, and drop its access log: `RequestMiddleware` writes one.

    Uvicorn has configured its loggers by the time it calls `create_app`.
    """
    logs.configure()
    uvicorn, access = logging.getLogger("uvicorn"), logging.getLogger("uvicorn.access")
    uvicorn.handlers.clear()
    uvicorn.propagate = True
    access.handlers.clear()
    access.propagate = False


async def _temporal_client() -> Client:
    """Connects on first use, so that the API starts without Temporal and `/readyz` reports it as missing."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", _LOCAL_TEMPORAL)
    return await Client.connect(**config, data_converter=pydantic_data_converter, lazy=True)


async def _on_postgres_unavailable(_: Request, __: Exception) -> Response:
    return unavailable("The database does not respond. Send the request again.").response()
