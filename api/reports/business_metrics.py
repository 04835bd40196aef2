"""How the business does, for operators: per period and currency, of all instructors or of one."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel

from api.http.auth import AsOperator
from api.http.database import WithDatabase
from api.http.problems import Kind, Problem, declared
from api.http.schema_types import RequestDate
from api.reports.business_metrics_query import Interval, business_figures
from models.domain.business_metrics import BusinessFigures
from models.domain.money import Currency, Money

router = APIRouter(prefix="/v1/metrics", tags=["operator"])

_LONGEST = timedelta(days=731)


class Figures(BaseModel):
    """Rates are in basis points, rounded down, and `null` where there is nothing to be a part of."""

    period_starts_on: date
    currency: str
    bookings: int
    """Made in the period, those included that were never paid."""
    bookings_paid: int
    conversion_bps: int | None
    """Of the bookings made in the period, those that have ended in a completed payment."""
    sessions_ended: int
    sessions_completed: int
    completion_bps: int | None
    """Of the approved bookings made in the period whose session is over, those that took place."""
    payments: int
    gross_volume: Money
    refunded: Money
    refund_bps: int | None
    """What was given back in the period, of what was taken in it."""
    disputes: int
    dispute_bps: int | None
    """Disputes opened in the period, of the payments taken in it."""
    platform_revenue: Money
    stripe_fees: Money
    payout_lag_seconds: int | None
    """From a payment until its share was at the bank, on average over the shares that arrived in the period."""


class BusinessMetrics(BaseModel):
    since: date
    until: date
    interval: Interval
    data: list[Figures]


@router.get(
    "/business",
    operation_id="readBusinessMetrics",
    responses=declared(Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE),
)
async def read_business_metrics(
    operator: AsOperator,
    database: WithDatabase,
    since: Annotated[RequestDate | None, Query(description="The first day, in UTC; 30 days ago if not given.")] = None,
    until: Annotated[RequestDate | None, Query(description="The day after the last; tomorrow if not given.")] = None,
    interval: Annotated[Interval, Query(description="How long a period is.")] = Interval.MONTH,
    currency: Annotated[Currency | None, Query(description="Only this one.")] = None,
    instructor_id: Annotated[UUID | None, Query(description="Only this instructor's.")] = None,
) -> BusinessMetrics:
    """A row for each period and currency in which something happened, the oldest first."""
    today = datetime.now(UTC).date()
    since, until = since or today - timedelta(days=30), until or today + timedelta(days=1)
    if not timedelta(0) < until - since <= _LONGEST:
        raise Problem(Kind.REQUEST_INVALID, "`until` must be after `since`, and two years later at most.")
    async with database.reading() as session:
        found = await business_figures(session, _midnight(since), _midnight(until), interval, currency, instructor_id)
    return BusinessMetrics(since=since, until=until, interval=interval, data=[_shown(figures) for figures in found])


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _shown(figures: BusinessFigures) -> Figures:
    lag = figures.payout_lag
    return Figures(
        conversion_bps=figures.conversion_bps,
        completion_bps=figures.completion_bps,
        refund_bps=figures.refund_bps,
        dispute_bps=figures.dispute_bps,
        payout_lag_seconds=int(lag.total_seconds()) if lag is not None else None,
        **figures.model_dump(exclude={"payout_lag"}),
    )
