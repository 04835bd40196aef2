"""The Stripe client. Each program builds one and passes it to the adapters."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import stripe

_REQUEST_TIMEOUT_SECONDS = 8


@asynccontextmanager
async def stripe_client(api_key: str, api_base: str | None = None) -> AsyncIterator[stripe.StripeClient]:
    """A Stripe client, closed at the end of the block. `api_base` is the sandbox's URL; without it, Stripe is called.

    By default, the SDK does not retry after network errors, and its telemetry writes a file to the home directory.
    """
    stripe.enable_telemetry = False
    transport = stripe.HTTPXClient(timeout=_REQUEST_TIMEOUT_SECONDS)
    try:
        yield stripe.StripeClient(
            api_key,
            max_network_retries=2,
            http_client=transport,
            base_addresses={"api": api_base} if api_base else {},
        )
    finally:
        await transport.close_async()  # type: ignore[no-untyped-call]
