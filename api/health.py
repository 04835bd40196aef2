"""Liveness and readiness."""

import asyncio
from datetime import timedelta

from fastapi import APIRouter
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import select

from api.bookings.client import WithBookingClient
from api.http.database import Database, WithDatabase
from api.http.problems import Kind, Problem, problem_responses
from api.http.rate_limits import PROBES, RATE_LIMITED, limited_by
from api.http.schema_types import ResponseModel

router = APIRouter(tags=["machines"])

PATHS = ("/healthz", "/readyz")

_TIMEOUT = timedelta(seconds=2)


class Health(ResponseModel):
    status: str = "ok"
    """Always `ok`: anything else is a problem."""


@router.get("/healthz", operation_id="getLiveness", responses=problem_responses(Kind.INTERNAL))
async def is_alive() -> Health:
    """The process answers. It checks no dependency: restarting the API would not fix Postgres."""
    return Health()


@router.get(
    "/readyz",
    operation_id="getReadiness",
    dependencies=[limited_by(PROBES)],
    responses=RATE_LIMITED["responses"] | problem_responses(Kind.INTERNAL, Kind.UNAVAILABLE),
)
async def is_ready(database: WithDatabase, bookings: WithBookingClient) -> Health:
    """Postgres and Temporal answer."""
    postgres, temporal = await asyncio.gather(_postgres_answers(database), bookings.is_reachable(_TIMEOUT))
    missing = [name for name, is_up in (("postgres", postgres), ("temporal", temporal)) if not is_up]
    if missing:
        raise Problem(
            Kind.UNAVAILABLE, f"No response from {', '.join(missing)}.", headers={"Retry-After": "1"}, missing=missing
        )
    return Health()


async def _postgres_answers(database: Database) -> bool:
    try:
        async with asyncio.timeout(_TIMEOUT.total_seconds()), database.reading() as session:
            await session.exec(select(1))
    except (SQLAlchemyError, TimeoutError, OSError):
        return False
    return True
