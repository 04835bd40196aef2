"""Business metrics for operators: per period and currency, of all instructors or of one."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from api.http.auth import AsOperator
from api.http.database import WithDatabase
from api.http.problems import Kind, Problem, problem_responses
from api.http.schema_types import RequestDate
from api.reports.business_metrics_query import Interval, business_figures
from models.domain.business_metrics import BusinessFigures
from models.domain.money import Currency, Money

router = APIRouter(prefix="/v1/metrics", tags=["operator"])

_MAX_RANGE = timedelta(days=731)


class PeriodMetrics(BaseModel):
    """Rates are in basis points, rounded down, and `null` if the denominator is zero."""

    period_starts_on: date
    currency: str
    bookings: int
    """Bookings made in the period, including those never paid."""
    bookings_paid: int
    conversion_bps: int | None
    """Share of the bookings made in the period whose payment was captured."""
    sessions_ended: int
    sessions_completed: int
    completion_bps: int | None
    """Share of the approved bookings made in the period, with the session over, whose session took place."""
    payments: int
    gross_volume: Money
    refunded: Money
    refund_bps: int | None
    """Amount refunded in the period, relative to the amount captured in it."""
    disputes: int
    dispute_bps: int | None
    """Disputes opened in the period, relative to the payments captured in it."""
    platform_revenue: Money
    """The platform's fees in the period, less those returned, without the tax in them."""
    stripe_fees: Money
    payout_lag_seconds: int | None
    """Average time from capture to the payout's arrival at the bank, over the payouts that arrived in the period."""


class BusinessMetrics(BaseModel):
    since: date
    until: date
    interval: Interval
    data: list[PeriodMetrics]


@router.get(
    "/business",
    operation_id="readBusinessMetrics",
    responses=problem_responses(
        Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE
    ),
)
async def read_business_metrics(
    operator: AsOperator,
    database: WithDatabase,
    since: Annotated[RequestDate | None, Query(description="The first day, in UTC; 30 days ago if omitted.")] = None,
    until: Annotated[RequestDate | None, Query(description="The day after the last; tomorrow if omitted.")] = None,
    interval: Annotated[Interval, Query(description="Length of a period.")] = Interval.MONTH,
    currency: Annotated[Currency | None, Query(description="Only this currency.")] = None,
    instructor_id: Annotated[UUID | None, Query(description="Only this instructor.")] = None,
) -> BusinessMetrics:
    """One row per period and currency with any activity, oldest first."""
    today = datetime.now(UTC).date()
    since, until = since or today - timedelta(days=30), until or today + timedelta(days=1)
    if not timedelta(0) < until - since <= _MAX_RANGE:
        raise Problem(Kind.REQUEST_INVALID, "`until` must be after `since`, by at most two years.")
    async with database.reading() as session:
        found = await business_figures(session, _midnight(since), _midnight(until), interval, currency, instructor_id)
    return BusinessMetrics(
        since=since, until=until, interval=interval, data=[_period_metrics(figures) for figures in found]
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _period_metrics(figures: BusinessFigures) -> PeriodMetrics:
    lag = figures.payout_lag
    return PeriodMetrics(
        conversion_bps=figures.conversion_bps,
        completion_bps=figures.completion_bps,
        refund_bps=figures.refund_bps,
        dispute_bps=figures.dispute_bps,
        payout_lag_seconds=int(lag.total_seconds()) if lag is not None else None,
        **figures.model_dump(exclude={"payout_lag"}),
    )
