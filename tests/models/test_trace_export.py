"""What is exported, and what it costs a program that exports nothing."""

import subprocess
import sys
from contextlib import suppress

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, Tracer, set_span_in_context

from models import traces
from models.trace_export import ListedOnly, NoLoneCalls
from sandbox.stack.environment import child_environment

PERSONAL = "ada@students.test"


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exported: InMemorySpanExporter) -> Tracer:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.sampler = NoLoneCalls(provider.sampler)
    provider.add_span_processor(SimpleSpanProcessor(ListedOnly(exported)))
    return provider.get_tracer("holdfast")


def test_only_listed_attributes_are_exported(tracer: Tracer, exported: InMemorySpanExporter) -> None:
    said = {"url.full": f"https://stripe.example/?email={PERSONAL}", "http.route": "/v1/me", "client.address": PERSONAL}
    with tracer.start_as_current_span("GET", attributes=said):
        pass
    (span,) = exported.get_finished_spans()
    assert dict(span.attributes or {}) == {"http.route": "/v1/me"}


def test_name_from_an_unknown_tracer_is_not_exported(exported: InMemorySpanExporter) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(ListedOnly(exported)))
    provider.get_tracer("mcp-python-sdk").start_span(f"tools/call {PERSONAL}").end()
    assert [span.name for span in exported.get_finished_spans()] == ["mcp-python-sdk"]


def test_error_is_exported_without_its_message(tracer: Tracer, exported: InMemorySpanExporter) -> None:
    with suppress(ValueError), tracer.start_as_current_span("RunActivity:x"):
        raise ValueError(PERSONAL)
    (read,) = exported.get_finished_spans()
    assert read.status.status_code is StatusCode.ERROR
    assert [dict(event.attributes or {}) for event in read.events] == [{"exception.type": "ValueError"}]
    assert PERSONAL not in read.to_json()


def test_call_that_belongs_to_no_trace_is_dropped(tracer: Tracer, exported: InMemorySpanExporter) -> None:
    tracer.start_span("SELECT", kind=SpanKind.CLIENT).end()
    with tracer.start_as_current_span("SendMail") as parent:
        tracer.start_span("UPDATE", set_span_in_context(parent), SpanKind.CLIENT).end()
    assert [span.name for span in exported.get_finished_spans()] == ["UPDATE", "SendMail"]


@pytest.mark.parametrize(
    ("given", "are_exported"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_traces_are_exported_if_a_collector_is_named(
    given: dict[str, str], are_exported: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ENDPOINT", "TRACES_ENDPOINT"):
        monkeypatch.delenv(f"OTEL_EXPORTER_OTLP_{name}", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert traces.are_exported() is are_exported


def _run(program: str, **variables: str) -> str:
    arguments, env = [sys.executable, "-c", program], child_environment(variables)
    return subprocess.run(arguments, env=env, check=True, capture_output=True, text=True).stdout


_WITHOUT_COLLECTOR = """
import sys
import api.main, worker
from models.trace_export import exporting
with exporting("tests"):
    print(*(name for name in sys.modules if name.startswith(("opentelemetry.exporter", "opentelemetry.instrument"))))
"""


def test_program_without_a_collector_imports_no_exporter() -> None:
    assert _run(_WITHOUT_COLLECTOR, OTEL_EXPORTER_OTLP_ENDPOINT="").strip() == ""


_WITH_COLLECTOR = """
import threading
from models.trace_export import exporting
from opentelemetry import trace
with exporting("tests"):
    with trace.get_tracer("tests").start_as_current_span("span"):
        pass
print(*(thread.name for thread in threading.enumerate()))
"""


def test_program_does_not_wait_for_a_collector_that_is_gone() -> None:
    # Nobody listens on this port, and the exporter is still trying when the block has ended.
    assert "(shutdown)" in _run(_WITH_COLLECTOR, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
