"""Business metrics for operators: per period and currency, of all instructors or of one."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from api.http.auth import AsOperator
from api.http.database import WithDatabase
from api.http.problems import Kind, Problem, problem_responses
from api.http.schema_types import RequestDate, ResponseModel
from api.reports.business_metrics_query import Interval, business_figures
from models.domain.business_metrics import BusinessFigures
from models.domain.money import Currency, Money

router = APIRouter(prefix="/v1/metrics", tags=["operator"])

_MAX_RANGE = timedelta(days=731)


class PeriodMetrics(ResponseModel):
    """Rates are in basis points, rounded down, and `null` if the denominator is zero."""

    period_starts_on: date
    """The first day of the period."""
    currency: str
    """Three lower-case letters, as in ISO 4217."""
    bookings: int
    """Bookings made in the period, including those never paid."""
    bookings_paid: int
    """How many of them were paid."""
    conversion_bps: int | None
    """Share of the bookings made in the period whose payment was captured."""
    sessions_ended: int
    """Sessions of these bookings that have ended, in any way."""
    sessions_completed: int
    """How many of them were completed."""
    completion_bps: int | None
    """Share of the approved bookings made in the period, with the session over, whose session took place."""
    payments: int
    """Captured in the period."""
    gross_volume: Money
    """Captured from students in the period."""
    refunded: Money
    """Returned to students in the period."""
    refund_bps: int | None
    """Amount refunded in the period, relative to the amount captured in it."""
    disputes: int
    """Opened in the period."""
    dispute_bps: int | None
    """Disputes opened in the period, relative to the payments captured in it."""
    platform_revenue: Money
    """The platform's fees in the period, less those returned, without the tax in them."""
    stripe_fees: Money
    """What Stripe charged."""
    payout_lag_seconds: int | None
    """Average time from capture to the payout's arrival at the bank, over the payouts that arrived in the period."""


class BusinessMetrics(ResponseModel):
    since: date
    """The first day."""
    until: date
    """The day after the last one."""
    interval: Interval
    """The length of a period."""
    data: list[PeriodMetrics]
    """One item per period and currency."""


@router.get(
    "/business",
    operation_id="getBusinessMetrics",
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
