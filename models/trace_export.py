"""Exports traces to a collector (OTLP over HTTP). The standard variables (`OTEL_…`) are read by the SDK.

Libraries record more than may leave the process: URLs, addresses of clients, messages of errors. So what is exported is
listed here, and all else is dropped.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Thread

from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.metrics import NoOpUpDownCounter
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, Status, TraceState
from opentelemetry.util.types import Attributes
from sqlalchemy.ext.asyncio import AsyncEngine

from models import traces

EXPORTED = frozenset(
    """
    http.request.method http.route http.response.status_code error.type exception.type
    db.system.name db.namespace db.operation.name db.query.text
    temporalWorkflowID temporalRunID temporalActivityID temporalUpdateID
    stripe.path stripe.request_id mail.id
    """.split()
)
"""Attributes of spans. `db.query.text` has placeholders for its values."""

_NAMING = frozenset("fastapi holdfast opentelemetry.instrumentation.httpx sqlalchemy temporalio".split())
"""Tracers that name no span after what a caller sent. MCP's, for example, does."""
_LAST_EXPORT_SECONDS = 3.0


@contextmanager
def exporting(service: str) -> Iterator[None]:
    """Export the spans that end before the block does, if the environment names a collector."""
    if not traces.are_exported():
        yield
        return
    # Here, because it takes time and memory that a program without a collector need not spend.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    # Without it, the libraries use names that OpenTelemetry has replaced.
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http,database"
    os.environ.setdefault("OTEL_SERVICE_NAME", service)
    if "OTEL_PROPAGATORS" not in os.environ:
        propagate.set_global_textmap(NoPropagation())
    provider = TracerProvider(shutdown_on_exit=False)
    provider.sampler = NoLoneCalls(provider.sampler)
    provider.add_span_processor(BatchSpanProcessor(ListedOnly(OTLPSpanExporter())))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        # The SDK's own limit is 30 seconds, which a program would wait for a collector that does not answer.
        last_export = Thread(target=provider.shutdown, daemon=True)
        last_export.start()
        last_export.join(_LAST_EXPORT_SECONDS)


def trace_queries(engine: AsyncEngine) -> None:
    """Record a span for each statement of this engine."""
    if traces.are_exported():
        from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer

        # The instrumentor around it would patch SQLAlchemy, to find the engines by itself.
        EngineTracer(trace.get_tracer("sqlalchemy"), engine.sync_engine, NoOpUpDownCounter("connections"))  # type: ignore[no-untyped-call]


class ListedOnly(SpanExporter):
    """Exports spans with the listed attributes only, errors by their type, and names of known tracers."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([_listed(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _listed(span: ReadableSpan) -> ReadableSpan:
    tracer = span.instrumentation_scope.name if span.instrumentation_scope else "unknown"
    return ReadableSpan(
        name=span.name if tracer in _NAMING else tracer,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_only_listed(span.attributes),
        events=[Event(event.name, _only_listed(event.attributes), event.timestamp) for event in span.events],
        links=[Link(link.context) for link in span.links],
        kind=span.kind,
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _only_listed(attributes: Attributes) -> Attributes:
    return {name: value for name, value in (attributes or {}).items() if name in EXPORTED}


class NoLoneCalls(Sampler):
    """Drops calls that belong to no trace, such as the queries with which a worker polls the outbox."""

    def __init__(self, others: Sampler) -> None:
        self._others = others

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        if kind is SpanKind.CLIENT and not trace.get_current_span(parent_context).get_span_context().is_valid:
            return SamplingResult(Decision.DROP)
        return self._others.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        return f"NoLoneCalls({self._others.get_description()})"


class NoPropagation(TextMapPropagator):
    """Traces begin at the API: a caller's trace, sampling and baggage are not accepted, and Stripe gets none of ours.

    SDK's `none` is not used, because FastAPI fails with it: its `extract` returns no context.
    """

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        return context or Context()

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        return

    @property
    def fields(self) -> set[str]:
        return set()
