"""An OpenTelemetry collector: it receives OTLP over HTTP, and keeps the spans."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

_TIMEOUT_SECONDS = 20


@dataclass(frozen=True)
class Span:
    service: str
    name: str
    trace_id: str
    id: str
    parent_id: str
    attributes: dict[str, Any]
    links: tuple[str, ...]
    """The ids of the linked traces."""


class Collector:
    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[bytes] = []

    @property
    def environment(self) -> dict[str, str]:
        """A program's, to send its spans here within milliseconds."""
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}

    def spans(self, trace_id: str) -> list[Span]:
        every = [span for request in list(self.requests) for span in _spans(request)]
        return [span for span in every if span.trace_id == trace_id]

    def wait_for(self, trace_id: str, is_complete: Callable[[list[Span]], bool]) -> list[Span]:
        """Poll the trace until it is complete. Returns it after 20 seconds in any case."""
        until = time.monotonic() + _TIMEOUT_SECONDS
        while not is_complete(spans := self.spans(trace_id)) and time.monotonic() < until:
            time.sleep(0.1)
        return spans


@contextmanager
def collecting() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces", self.path
            collector.requests.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


def _spans(request: bytes) -> Iterator[Span]:
    for exported in ExportTraceServiceRequest.FromString(request).resource_spans:
        service = next(each.value.string_value for each in exported.resource.attributes if each.key == "service.name")
        for scope in exported.scope_spans:
            for span in scope.spans:
                yield _span(service, span)


def _span(service: str, span: OtlpSpan) -> Span:
    attributes = {each.key: getattr(each.value, each.value.WhichOneof("value") or "") for each in span.attributes}
    return Span(
        service=service,
        name=span.name,
        trace_id=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=attributes,
        links=tuple(link.trace_id.hex() for link in span.links),
    )
