"""Prometheus gauges of the current month's business metrics."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry, Gauge

from api.http.database import Database
from api.reports.business_metrics_query import Interval, business_figures
from models.domain.business_metrics import BusinessFigures

_Value = Callable[[BusinessFigures], int | None]

_GAUGES: dict[str, tuple[str, _Value]] = {
    "bookings": ("Bookings made.", lambda figures: figures.bookings),
    "conversion_bps": (
        "Share of the bookings made whose payment was captured.",
        lambda figures: figures.conversion_bps,
    ),
    "completion_bps": ("Share of ended sessions that took place.", lambda figures: figures.completion_bps),
    "gross_volume_minor": ("Captured from students.", lambda figures: figures.gross_volume.amount_minor),
    "refunded_minor": ("Refunded after capture.", lambda figures: figures.refunded.amount_minor),
    "refund_bps": ("Share of the captured amount that was refunded.", lambda figures: figures.refund_bps),
    "platform_revenue_minor": (
        "The platform's fees, without the tax in them.",
        lambda figures: figures.platform_revenue.amount_minor,
    ),
    "stripe_fees_minor": ("Stripe's fees.", lambda figures: figures.stripe_fees.amount_minor),
    "disputes": ("Disputes opened.", lambda figures: figures.disputes),
    "dispute_bps": ("Share of captured payments that were disputed.", lambda figures: figures.dispute_bps),
    "payout_lag_seconds": (
        "Average time from payment to arrival at the bank.",
        lambda figures: int(figures.payout_lag.total_seconds()) if figures.payout_lag is not None else None,
    ),
}
_MAX_AGE = timedelta(minutes=1)


class BusinessGauges:
    """Queries Postgres at most once a minute, however often the gauges are scraped."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._gauges = {
            name: Gauge(f"holdfast_month_{name}", f"{help_text} This month, in UTC.", ["currency"], registry=registry)
            for name, (help_text, _) in _GAUGES.items()
        }
        self._read_at: datetime | None = None

    async def refresh(self, database: Database, now: datetime | None = None) -> None:
        now = now or datetime.now(UTC)
        if self._read_at is not None and now - self._read_at < _MAX_AGE:
            return
        month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        async with database.reading() as session:
            found = await business_figures(session, month, now + timedelta(days=1), Interval.MONTH)
        for name, (_, value_of) in _GAUGES.items():
            self._gauges[name].clear()
            for figures in found:
                if (value := value_of(figures)) is not None:
                    self._gauges[name].labels(figures.currency).set(value)
        self._read_at = now
