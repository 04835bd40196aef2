"""Prometheus gauges of the last reconciliation."""

from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry, Gauge
from sqlalchemy import text
from sqlmodel import col, select

from api.http.database import Database
from models.tables.reconciliation import Reconciliation

_MAX_AGE = timedelta(seconds=15)
_OPEN = """
SELECT kind, book, currency, count(*) AS number, sum(abs(ledger_minor - stripe_minor)) AS amount
FROM drift WHERE resolved_at IS NULL GROUP BY kind, book, currency
"""


class ReconciliationGauges:
    """Queries Postgres at most every 15 seconds, however often the gauges are scraped."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["kind", "book", "currency"]
        self._drifts = Gauge("holdfast_drifts_open", "Differences that stayed.", labels, registry=registry)
        self._amount = Gauge("holdfast_drift_minor", "What is different, added up.", labels, registry=registry)
        self._last = {
            name: Gauge(f"holdfast_reconciliation_{name}", f"{help_text} Of the last one.", registry=registry)
            for name, help_text in {
                "finished_timestamp_seconds": "When it ended.",
                "duration_seconds": "How long it took.",
                "events_redelivered": "Events that had never come.",
                "holds_released": "Holds that no workflow owned.",
                "workflows_failed": "Workflows that have failed.",
                "bookings_compared": "Bookings compared with Stripe.",
            }.items()
        }
        self._read_at: datetime | None = None

    async def refresh(self, database: Database) -> None:
        now = datetime.now(UTC)
        if self._read_at is not None and now - self._read_at < _MAX_AGE:
            return
        last = (
            select(Reconciliation)
            .where(col(Reconciliation.finished_at).is_not(None))
            .order_by(col(Reconciliation.finished_at).desc())
            .limit(1)
        )
        async with database.reading() as session:
            run = (await session.exec(last)).first()
            open_drifts = list(await (await session.connection()).execute(text(_OPEN)))
        for gauge in (self._drifts, self._amount):
            gauge.clear()
        for row in open_drifts:
            self._drifts.labels(row.kind, row.book, row.currency).set(row.number)
            self._amount.labels(row.kind, row.book, row.currency).set(int(row.amount))
        if run is not None:
            self._set(run)
        self._read_at = now

    def _set(self, run: Reconciliation) -> None:
        assert run.finished_at is not None
        self._last["finished_timestamp_seconds"].set(int(run.finished_at.timestamp()))
        self._last["duration_seconds"].set((run.finished_at - run.started_at) // timedelta(seconds=1))
        for name in ("events_redelivered", "holds_released", "workflows_failed", "bookings_compared"):
            self._last[name].set(getattr(run, name))
