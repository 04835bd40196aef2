"""ASGI middleware: request id, body limit, security headers, metrics, access log, 500 fallback."""

import logging
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from uuid import UUID, uuid4

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.problems import Kind, Problem
from api.http.rate_limits import rate_limit_headers
from models import logs
from models.traces import request_trace, trace_id

MAX_BODY_BYTES = 1024 * 1024
"""The largest bodies are Stripe's events, which stay far below this."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset("GET HEAD POST PUT PATCH DELETE OPTIONS".split())
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

log = logging.getLogger("holdfast.api")


class Metrics:
    """Request metrics, labelled by route template. Labelling by path would create a series per id."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "holdfast_http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "holdfast_http_request_seconds", "Time to the answer's end.", ["method", "route"], registry=self.registry
        )

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        method, route = _method(scope), _route(scope)
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)


class RequestMiddleware:
    """Pure ASGI, outside the framework's error handling, so that error responses get the same treatment."""

    def __init__(self, app: ASGIApp, metrics: Metrics, extra_headers: Iterable[tuple[str, str]] = ()) -> None:
        self._app = app
        self._metrics = metrics
        self._headers = _HEADERS | dict(extra_headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with request_trace():
            await self._handle(scope, receive, send)

    async def _handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = _request_id(scope)
        logs.bind({logs.REQUEST_ID: request_id})
        started, status = time.perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in rate_limit_headers(scope):
                    headers[name] = value
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, _limit_body(scope, receive), send_with_headers)
        finally:
            self._metrics.count(scope, status, time.perf_counter() - started)
            _log(scope, status, time.perf_counter() - started)


class UnhandledErrorMiddleware:
    """Answers an unhandled exception with a 500 problem, unless the response has already started."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_started = False

        async def tracking_send(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self._app(scope, receive, tracking_send)
        except Exception:
            if scope["type"] != "http":
                raise
            log.exception("request failed")
            if has_started:
                raise
            await Problem(Kind.INTERNAL, "Try again. If it happens again, send us the `request_id`.").response()(
                scope, receive, send
            )


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "OTHER"


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "unmatched")


def _log(scope: Scope, status: int, seconds: float) -> None:
    """Log the route template and the ids in the path. Anything else in a URL could be personal data."""
    fields = {
        "method": _method(scope),
        "route": _route(scope),
        "status": status,
        "duration_ms": round(seconds * 1000, 1),
    }
    log.info("request", extra=fields | _ids(scope.get("path_params", {})))


def _ids(path_params: Mapping[str, str]) -> dict[str, str]:
    ids = {}
    for name, value in path_params.items():
        with suppress(ValueError):
            ids[name] = str(UUID(value))
    return ids


def _request_id(scope: Scope) -> str:
    """The caller's id if it is safe to log as it is, otherwise that of the trace."""
    sent = Headers(scope=scope).get("X-Request-Id", "")
    return sent if _REQUEST_ID.fullmatch(sent) else trace_id() or uuid4().hex


def _limit_body(scope: Scope, receive: Receive) -> Receive:
    """`receive`, raising a `Problem` once the body exceeds the limit, with or without a `Content-Length`."""
    content_length = Headers(scope=scope).get("Content-Length", "0")
    announced = int(content_length) if content_length.isascii() and content_length.isdigit() else 0
    received = 0

    async def receive_within_limit() -> Message:
        nonlocal received
        if announced > MAX_BODY_BYTES:
            raise Problem(Kind.CONTENT_TOO_LARGE)
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            raise Problem(Kind.CONTENT_TOO_LARGE)
        return message

    return receive_within_limit
