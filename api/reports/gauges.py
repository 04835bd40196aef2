"""The business's figures of the running month as Prometheus gauges, beside the technical metrics."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry, Gauge

from api.http.database import Database
from api.reports.business_metrics_query import Interval, business_figures
from models.domain.business_metrics import BusinessFigures

_Read = Callable[[BusinessFigures], int | None]

_GAUGES: dict[str, tuple[str, _Read]] = {
    "bookings": ("Bookings made.", lambda seen: seen.bookings),
    "conversion_bps": ("Of the bookings made, those with a completed payment.", lambda seen: seen.conversion_bps),
    "completion_bps": ("Of the sessions that are over, those that took place.", lambda seen: seen.completion_bps),
    "gross_volume_minor": ("Taken from students.", lambda seen: seen.gross_volume.amount_minor),
    "refunded_minor": ("Given back of what had been taken.", lambda seen: seen.refunded.amount_minor),
    "refund_bps": ("Given back, of what was taken.", lambda seen: seen.refund_bps),
    "platform_revenue_minor": ("The platform's fees.", lambda seen: seen.platform_revenue.amount_minor),
    "stripe_fees_minor": ("What Stripe took.", lambda seen: seen.stripe_fees.amount_minor),
    "disputes": ("Disputes opened.", lambda seen: seen.disputes),
    "dispute_bps": ("Disputes, of the payments taken.", lambda seen: seen.dispute_bps),
    "payout_lag_seconds": (
        "From a payment to the bank.",
        lambda seen: int(seen.payout_lag.total_seconds()) if seen.payout_lag is not None else None,
    ),
}
_FRESH_FOR = timedelta(minutes=1)


class BusinessGauges:
    """Asks Postgres once a minute at most, however often it is scraped."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._gauges = {
            name: Gauge(f"holdfast_month_{name}", f"{words} This month, in UTC.", ["currency"], registry=registry)
            for name, (words, _) in _GAUGES.items()
        }
        self._read_at: datetime | None = None

    async def refresh(self, database: Database, now: datetime | None = None) -> None:
        now = now or datetime.now(UTC)
        if self._read_at is not None and now - self._read_at < _FRESH_FOR:
            return
        month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        async with database.reading() as session:
            found = await business_figures(session, month, now + timedelta(days=1), Interval.MONTH)
        for name, (_, read) in _GAUGES.items():
            self._gauges[name].clear()
            for figures in found:
                if (value := read(figures)) is not None:
                    self._gauges[name].labels(figures.currency).set(value)
        self._read_at = now
