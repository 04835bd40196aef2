"""The Stripe client that a program builds once and passes in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import stripe

_REQUEST_TIMEOUT_SECONDS = 8


@asynccontextmanager
async def stripe_client(api_key: str, api_base: str | None = None) -> AsyncIterator[stripe.StripeClient]:
    """The one Stripe client of a program; without `api_base`, the sandbox's address, it talks to Stripe.

    The client's own default is no network retry at all, and telemetry would write a file in the user's home.
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
