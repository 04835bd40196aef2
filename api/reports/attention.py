"""Prometheus gauges of what waits for an operator, or for a worker. docs/operations/prometheus alerts on them."""

from datetime import UTC, datetime, timedelta

from prometheus_client import CollectorRegistry, Gauge
from temporalio.client import Client

from api.http.database import Database
from api.http.temporal import WorkflowCallError, translate_errors
from models import attention
from models.domain.attention import AttentionKind
from workflows.client import task_queues

_MAX_AGE = timedelta(seconds=15)


class AttentionGauges:
    """Queries Postgres at most every 15 seconds, however often the gauges are scraped."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._waiting = Gauge(
            "holdfast_bookings_needing_attention", "Bookings that need an operator.", ["kind"], registry=registry
        )
        self._since = Gauge(
            "holdfast_attention_since_timestamp_seconds",
            "Since when the booking needs an operator that has waited longest.",
            ["kind"],
            registry=registry,
        )
        self._hold_ends = Gauge(
            "holdfast_next_hold_end_timestamp_seconds",
            "When the next hold ends that is neither captured nor released.",
            [],
            registry=registry,
        )
        self._mail_due = Gauge(
            "holdfast_outbox_oldest_due_timestamp_seconds",
            "When the oldest mail was due that is not sent.",
            [],
            registry=registry,
        )
        self._read_at: datetime | None = None

    async def refresh(self, database: Database) -> None:
        now = datetime.now(UTC)
        if self._read_at is not None and now - self._read_at < _MAX_AGE:
            return
        async with database.reading() as session:
            waiting = await attention.waiting(session)
            hold_ends_at = await attention.next_hold_end(session)
            mail_due_at = await attention.oldest_due_mail(session)
        self._since.clear()
        # A series with 0 for each kind: an alert ends when the value does, not minutes after the series has gone.
        for kind in AttentionKind:
            of_kind = [each.since for each in waiting if each.kind is kind]
            self._waiting.labels(kind).set(len(of_kind))
            if of_kind:
                self._since.labels(kind).set(of_kind[0].timestamp())
        self._hold_ends.set(_timestamp(hold_ends_at))
        self._mail_due.set(_timestamp(mail_due_at))
        self._read_at = now


class TaskQueueGauges:
    """Asks Temporal at most every 15 seconds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._reachable = Gauge("holdfast_temporal_reachable", "1 if Temporal answers.", [], registry=registry)
        self._pollers, self._backlog, self._age = (
            Gauge(f"holdfast_task_queue_{name}", help_text, ["task_queue", "type"], registry=registry)
            for name, help_text in {
                "pollers": "Workers that poll.",
                "backlog": "Tasks that wait for a worker.",
                "backlog_age_seconds": "How long the oldest task has waited.",
            }.items()
        )
        self._version_backlog = Gauge(
            "holdfast_worker_version_backlog",
            "Tasks that wait for a worker of this version.",
            ["build_id", "task_queue", "type"],
            registry=registry,
        )
        self._read_at: datetime | None = None

    async def refresh(self, temporal: Client, task_queue: str, timeout: timedelta) -> None:
        now = datetime.now(UTC)
        if self._read_at is not None and now - self._read_at < _MAX_AGE:
            return
        try:
            async with translate_errors(timeout):
                states = await task_queues.describe(temporal, task_queue)
                versions = await task_queues.describe_versions(temporal, task_queue)
        except WorkflowCallError:
            states, versions = [], []
        for gauge in (self._pollers, self._backlog, self._age, self._version_backlog):
            gauge.clear()
        for state in states:
            labels = state.name, state.type
            self._pollers.labels(*labels).set(state.pollers)
            self._backlog.labels(*labels).set(state.backlog)
            self._age.labels(*labels).set(state.backlog_age.total_seconds())
        for version in versions:
            self._version_backlog.labels(version.build_id, version.name, version.type).set(version.backlog)
        self._reachable.set(bool(states))
        self._read_at = now


def _timestamp(at: datetime | None) -> float:
    """NaN, which no alert compares with, if there is none."""
    return at.timestamp() if at else float("nan")
