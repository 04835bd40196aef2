"""What every request meets first and every answer last: an id, a size limit, headers, metrics, a log, a last resort."""

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
from api.http.rate_limits import headers_of
from models import logs

MAX_BODY_BYTES = 1024 * 1024
"""Stripe's events are the largest thing that is sent here, and stay far below."""

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
    """Counted by route template, never by path: ids would make a series each."""

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
    """Pure ASGI, and outside of the framework's error handling, so that an answer to a failure has all this too."""

    def __init__(self, app: ASGIApp, metrics: Metrics, extra_headers: Iterable[tuple[str, str]] = ()) -> None:
        self._app = app
        self._metrics = metrics
        self._headers = _HEADERS | dict(extra_headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        logs.bind({logs.REQUEST_ID: request_id})
        started, status = time.perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in headers_of(scope):
                    headers[name] = value
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, _limited(scope, receive), send_with_headers)
        finally:
            self._metrics.count(scope, status, time.perf_counter() - started)
            _log(scope, status, time.perf_counter() - started)


class UnhandledErrorMiddleware:
    """An answer to what nobody foresaw, as long as none has begun."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def noting_send(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting_send)
        except Exception:
            if scope["type"] != "http":
                raise
            log.exception("request failed")
            if has_begun:
                raise
            await Problem(Kind.INTERNAL, "Tell us the request_id.").response()(scope, receive, send)


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "OTHER"


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "unmatched")


def _log(scope: Scope, status: int, seconds: float) -> None:
    """By the route's template and the ids in its path: what else a sender writes into a URL may be personal."""
    facts = {
        "method": _method(scope),
        "route": _route(scope),
        "status": status,
        "duration_ms": round(seconds * 1000, 1),
    }
    log.info("request", extra=facts | _ids(scope.get("path_params", {})))


def _ids(path_params: Mapping[str, str]) -> dict[str, str]:
    ids = {}
    for name, value in path_params.items():
        with suppress(ValueError):
            ids[name] = str(UUID(value))
    return ids


def _request_id(scope: Scope) -> str:
    """The caller's, if it can stand in a log line as it is; else a new one."""
    given = Headers(scope=scope).get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid4().hex


def _limited(scope: Scope, receive: Receive) -> Receive:
    """`receive`, ending in a problem once the body is too large, announced or not."""
    announced = Headers(scope=scope).get("Content-Length", "0")
    size = int(announced) if announced.isascii() and announced.isdigit() else 0
    received = 0

    async def receive_within_limit() -> Message:
        nonlocal received
        if size > MAX_BODY_BYTES:
            raise Problem(Kind.CONTENT_TOO_LARGE)
        message = await receive()
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            raise Problem(Kind.CONTENT_TOO_LARGE)
        return message

    return receive_within_limit
