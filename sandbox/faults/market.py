"""The marketplace of a run: a wired stack with people on it, and what must be true of all bookings together."""

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final
from uuid import UUID

import httpx
from sqlalchemy import func, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.stripe.client import stripe_client
from models.db import build_engine
from models.tables.outbox import OutboxMessage
from sandbox.demo import books as balances
from sandbox.demo import checks
from sandbox.demo.marketplace import Marketplace, Pair
from sandbox.faults import books
from sandbox.faults.books import Books
from sandbox.faults.plays import Play
from sandbox.faults.stack import Part, WiredStack

_SETTINGS: Final = {
    "HOLDFAST_CHECKOUT_WINDOW": "PT50S",
    "HOLDFAST_APPROVAL_WINDOW": "PT50S",
    "HOLDFAST_OBJECTION_WINDOW": "PT5S",
    "HOLDFAST_CONTEST_WINDOW": "PT5S",
    "HOLDFAST_MAX_UNPAID": "0",
    "HOLDFAST_MAX_UNPAID_PER_INSTRUCTOR": "0",
    "HOLDFAST_MAX_LAPSES": "0",
    "HOLDFAST_STRIPE_ACTIVITIES_PER_SECOND": "10000",
}
"""Longer than a part is away, and short enough to wait for."""
_LOOKS: Final = 120
_LOOK_EVERY_SECONDS: Final = 0.5

_OVERLAPS: Final = text(
    "SELECT count(*) FROM booking_request one JOIN booking_request other ON one.id < other.id"
    " AND one.instructor_id = other.instructor_id AND one.starts_at < other.ends_at AND other.starts_at < one.ends_at"
    " WHERE one.status IN ('ACCEPTED', 'COMPLETED') AND other.status IN ('ACCEPTED', 'COMPLETED')"
)


@dataclass(frozen=True)
class FaultyMarket:
    stack: WiredStack
    market: Marketplace
    broken: defaultdict[Part, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """Held while a part has a fault."""

    async def pair(self, number: int, starts_in: timedelta) -> Pair:
        """A slot of the pair with this number. No two bookings of a batch have one in common."""
        student, instructor = self.market.people[number]
        return Pair(student, instructor, *await self.market.add_slot(instructor, starts_in))

    async def clear_faults(self) -> None:
        """Stripe's own."""
        (await self.market.http.delete(f"{self.stack.stripe_url}/_sandbox/faults")).raise_for_status()

    async def calm_down(self, plays: Sequence[Play]) -> list[str]:
        """Wait until all is done that the bookings have caused. Returns what never is."""
        await checks.wait_for_open_workflows(self.market)
        for _ in range(_LOOKS):
            unsent, owed = await self._unsent(plays), await self._owed()
            if not unsent and not owed:
                return []
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
        return [f"{unsent} mails are not sent, and {owed} events not delivered"]

    async def books(self, plays: Iterable[Play], since: datetime) -> dict[UUID, Books]:
        ids = {play.booking_id for play in plays}
        workflows = await books.executions(self.market.temporal)
        return await books.read(self.market.engine, self.market.stripe, workflows, ids, since, self.stack.delivered)

    async def problems(self) -> list[str]:
        """What is wrong with all bookings together."""
        found = []
        async with self.market.engine.connect() as connection:
            if overlapping := (await connection.execute(_OVERLAPS)).scalar():
                found.append(f"one_booking_per_time: {overlapping} bookings of one instructor overlap")
        uneven, _ = await balances.unbalanced_transactions(self.market.engine)
        if uneven:
            found.append(f"ledger_sums_to_zero: {uneven} transactions do not")
        run = await self.market.reconcile()
        if run["drifts"]:
            drifts = (await self.market.operator().call("GET", "/operator/drifts?open=true"))["data"]
            found += [f"no_drift: {drift['kind']} {drift['booking_id']}: {drift['detail']}" for drift in drifts]
        return found

    async def _unsent(self, plays: Sequence[Play]) -> int:
        is_unsent = (
            col(OutboxMessage.booking_id).in_([play.booking_id for play in plays]),
            col(OutboxMessage.sent_at).is_(None),
            col(OutboxMessage.gave_up_at).is_(None),
            col(OutboxMessage.due_at) <= func.now(),
        )
        async with AsyncSession(self.market.engine) as session:
            return (await session.exec(select(func.count()).select_from(OutboxMessage).where(*is_unsent))).one()

    async def _owed(self) -> int:
        answer = await self.market.http.get(f"{self.stack.stripe_url}/_sandbox/deliveries")
        return len(answer.json()["owed"])


@asynccontextmanager
async def faulty_market(pairs: int, settings: Mapping[str, str] = MappingProxyType({})) -> AsyncIterator[FaultyMarket]:
    """Raises `StartupError` or `StackRefusedError`, as `Stack` does."""
    with tempfile.TemporaryDirectory(prefix="holdfast-faults-") as directory:
        async with WiredStack(Path(directory), env={**_SETTINGS, **settings}) as stack:
            engine = build_engine(stack.database_url)
            temporal = await Client.connect(stack.temporal_address, data_converter=pydantic_data_converter)
            try:
                async with (
                    httpx.AsyncClient(base_url=stack.front_url, timeout=30, trust_env=False) as http,
                    stripe_client(stack.stripe_key, stack.stripe_url) as stripe,
                ):
                    market = Marketplace(stack, http, engine, stripe, temporal)
                    await market.open(pairs)
                    yield FaultyMarket(stack, market)
            finally:
                await engine.dispose()
