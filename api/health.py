"""Liveness, readiness and Prometheus metrics."""

import asyncio
import contextlib
from datetime import timedelta

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import select

from api.bookings.client import WithBookingClient
from api.http.database import Database, WithDatabase
from api.http.middleware import Metrics
from api.http.problems import Kind, Problem, problem_responses
from api.http.rate_limits import PROBES, RATE_LIMITED, limited_by
from api.reconciliation.gauges import ReconciliationGauges
from api.reports.gauges import BusinessGauges

router = APIRouter(tags=["machines"])

_TIMEOUT = timedelta(seconds=2)


class Health(BaseModel):
    status: str = "ok"


@router.get("/healthz", operation_id="isAlive", responses=problem_responses(Kind.INTERNAL))
async def is_alive() -> Health:
    """The process answers. It checks no dependency: restarting the API would not fix Postgres."""
    return Health()


@router.get(
    "/readyz",
    operation_id="isReady",
    dependencies=[limited_by(PROBES)],
    responses=RATE_LIMITED["responses"] | problem_responses(Kind.INTERNAL, Kind.UNAVAILABLE),
)
async def is_ready(database: WithDatabase, bookings: WithBookingClient) -> Health:
    """Postgres and Temporal answer."""
    postgres, temporal = await asyncio.gather(_postgres_answers(database), bookings.is_reachable(_TIMEOUT))
    missing = [name for name, is_up in (("postgres", postgres), ("temporal", temporal)) if not is_up]
    if missing:
        raise Problem(
            Kind.UNAVAILABLE, f"No answer from: {', '.join(missing)}.", headers={"Retry-After": "1"}, missing=missing
        )
    return Health()


@router.get(
    "/metrics",
    operation_id="readMetrics",
    response_class=Response,
    responses=problem_responses(Kind.INTERNAL, Kind.UNAVAILABLE),
)
async def read_metrics(request: Request, database: WithDatabase) -> Response:
    """Metrics in the Prometheus text format. While Postgres is down, the business gauges keep their last values."""
    metrics: Metrics = request.app.state.metrics
    gauges: BusinessGauges = request.app.state.business_gauges
    reconciliation: ReconciliationGauges = request.app.state.reconciliation_gauges
    with contextlib.suppress(SQLAlchemyError, TimeoutError, OSError):
        async with asyncio.timeout(_TIMEOUT.total_seconds()):
            await gauges.refresh(database)
            await reconciliation.refresh(database)
    return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


async def _postgres_answers(database: Database) -> bool:
    try:
        async with asyncio.timeout(_TIMEOUT.total_seconds()), database.reading() as session:
            await session.exec(select(1))
    except (SQLAlchemyError, TimeoutError, OSError):
        return False
    return True
