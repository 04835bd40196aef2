"""The current trace. Its id is in every log line, whether or not traces are exported (`models/trace_export.py`)."""

import os
from contextlib import AbstractContextManager, nullcontext
from uuid import uuid4

from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_TRACEPARENT = "traceparent"
_TRACE_CONTEXT = TraceContextTextMapPropagator()


def are_exported() -> bool:
    """Whether OpenTelemetry's own variables name a collector."""
    given = os.environ
    endpoint = given.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or given.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    is_off = given.get("OTEL_TRACES_EXPORTER") == "none" or given.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return bool(endpoint) and not is_off


def trace_id() -> str | None:
    span = trace.get_current_span().get_span_context()
    return trace.format_trace_id(span.trace_id) if span.is_valid else None


def request_trace() -> AbstractContextManager[object]:
    """A trace for a request that has none, because no traces are exported. It has an id and no spans."""
    if trace_id():
        return nullcontext()
    return trace.use_span(NonRecordingSpan(SpanContext(uuid4().int, uuid4().int >> 64, is_remote=False)))


def traceparent() -> str | None:
    """The current span as W3C's `traceparent`, to continue its trace later (`continued`)."""
    carrier: dict[str, str] = {}
    _TRACE_CONTEXT.inject(carrier)
    return carrier.get(_TRACEPARENT)


def continued(name: str, traceparent: str | None) -> AbstractContextManager[trace.Span]:
    """A span in the trace of `traceparent`, and in one of its own without it."""
    context = _TRACE_CONTEXT.extract({_TRACEPARENT: traceparent} if traceparent else {})
    return trace.get_tracer("holdfast").start_as_current_span(name, context, trace.SpanKind.CONSUMER)
