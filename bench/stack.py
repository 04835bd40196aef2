"""The stack that the bench runs on: the real one, with production deadlines and without the activity rate limit."""

import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.stripe.client import stripe_client
from bench.stripe_calls import StripeLog
from models.db import build_engine
from sandbox.demo.marketplace import Marketplace
from sandbox.stack.stack import Stack

# The worker's default keeps within Stripe's rate limit, and the sandbox has none.
_SETTINGS: Final = {"HOLDFAST_STRIPE_ACTIVITIES_PER_SECOND": "10000"}


@dataclass(frozen=True)
class BenchStack:
    market: Marketplace
    stripe_log: StripeLog


@asynccontextmanager
async def bench_stack(settings: Mapping[str, str] | None = None) -> AsyncIterator[BenchStack]:
    """Start a stack, with these settings beside the bench's, and stop it at the end.

    Raises `StartupError` or `StackRefusedError`, as `Stack` does.
    """
    with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as temporary:
        directory = Path(temporary)
        log = directory / "stripe.jsonl"
        async with Stack(directory, stripe_log=log, env={**_SETTINGS, **(settings or {})}) as stack:
            engine = build_engine(stack.database_url)
            temporal = await Client.connect(stack.temporal_address, data_converter=pydantic_data_converter)
            try:
                async with (
                    httpx.AsyncClient(base_url=stack.api_url, timeout=30, trust_env=False) as http,
                    stripe_client(stack.stripe_key, stack.worker_environment.get("STRIPE_API_BASE")) as stripe,
                ):
                    yield BenchStack(Marketplace(stack, http, engine, stripe, temporal), StripeLog(log))
            finally:
                await engine.dispose()
