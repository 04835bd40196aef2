"""A Stripe client for a short piece of work. The programs' own one lives as long as they do; this one is closed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import stripe


@asynccontextmanager
async def stripe_client(api_key: str, api_base: str | None) -> AsyncIterator[stripe.StripeClient]:
    """`api_base` is the sandbox's address; without it, requests go to Stripe."""
    stripe.enable_telemetry = False
    transport = stripe.HTTPXClient()
    try:
        yield stripe.StripeClient(
            api_key,
            max_network_retries=2,
            http_client=transport,
            base_addresses={"api": api_base} if api_base else {},
        )
    finally:
        await transport.close_async()  # type: ignore[no-untyped-call]
