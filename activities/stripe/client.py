"""The Stripe client. Each program builds one and passes it to the adapters."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import stripe
from opentelemetry.trace import Span
from temporalio import activity

from models.traces import are_exported

REQUEST_TIMEOUT = 8.0
"""Seconds for one request, from connecting to the last byte of the answer."""
_HEARTBEAT_EVERY = 1.0
"""Seconds. An attempt whose requests are quick sends no heartbeat: on Temporal Cloud each one is billed."""

_last_heartbeat: ContextVar[float | None] = ContextVar("_last_heartbeat", default=None)


@asynccontextmanager
async def stripe_client(
    api_key: str, api_base: str | None = None, request_timeout: float = REQUEST_TIMEOUT
) -> AsyncIterator[stripe.StripeClient]:
    """The one Stripe client of a program. Without `api_base`, the sandbox's address, it calls Stripe.

    It does not retry: Temporal does, and looks up an unknown outcome before the next attempt. Telemetry is off because
    it would write a file in the user's home.
    """
    stripe.enable_telemetry = False
    transport = _Transport(request_timeout)
    try:
        yield stripe.StripeClient(
            api_key,
            max_network_retries=0,
            http_client=transport,
            base_addresses={"api": api_base} if api_base else {},
        )
    finally:
        await transport.close_async()  # type: ignore[no-untyped-call]


class _Transport(stripe.HTTPXClient):
    """Bounds a whole request, where httpx bounds each of its phases, and heartbeats between an activity's requests."""

    def __init__(self, request_timeout: float) -> None:
        super().__init__(timeout=request_timeout)
        self._request_timeout = request_timeout
        if are_exported():
            from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

            HTTPXClientInstrumentor.instrument_client(self._client_async, response_hook=_describe_request)

    async def request_async(self, *arguments: Any, **options: Any) -> tuple[bytes, int, Any]:
        _heartbeat()
        try:
            async with asyncio.timeout(self._request_timeout):
                return await super().request_async(*arguments, **options)
        except TimeoutError as error:
            message = f"no answer within {self._request_timeout:g} s"
            raise stripe.APIConnectionError(message) from error  # type: ignore[no-untyped-call]


async def _describe_request(span: Span, request: Any, response: Any) -> None:
    """Without the query: it may have a person's data."""
    span.set_attributes({"stripe.path": request.url.path, "stripe.request_id": response.headers.get("Request-Id", "")})


def _heartbeat() -> None:
    if not activity.in_activity():
        return
    now, last = asyncio.get_running_loop().time(), _last_heartbeat.get()
    if last is not None and now - last < _HEARTBEAT_EVERY:
        return
    _last_heartbeat.set(now)
    if last is not None:
        activity.heartbeat()
