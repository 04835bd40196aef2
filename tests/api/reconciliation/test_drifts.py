"""The list of drifts: what each is about."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx

from models.domain.actors import PLATFORM
from models.domain.reconciliation import Book, DriftKind
from models.tables.reconciliation import Drift, Reconciliation
from tests.api.sql_statements import noted
from tests.api.world import World

NOW = datetime.now(UTC)


async def drift(world: World, run: Reconciliation, age: int, **fields: Any) -> None:
    at = NOW - timedelta(minutes=age)
    row: dict[str, Any] = {
        "id": uuid4(),
        "kind": DriftKind.BOOKING,
        "book": Book.STRIPE_BALANCE,
        "currency": "usd",
        "ledger_minor": 1,
        "stripe_minor": 0,
        "reconciliation_id": run.id,
        "found_at": at,
        "seen_at": at,
    }
    await world.add(Drift(**(row | fields)))


async def test_a_drift_names_the_session_and_the_people_it_is_about(client: httpx.AsyncClient, world: World) -> None:
    run = Reconciliation(id=uuid4(), by_role=PLATFORM.role, started_at=NOW)
    await world.add(run)
    await drift(world, run, 0, booking_id=await world.booking())
    await drift(world, run, 1, kind=DriftKind.BALANCE, instructor_id=world.instructor.id)
    # A booking that was never paid, and is gone.
    await drift(world, run, 2, booking_id=uuid4())
    with noted(world.engine) as statements:
        answer = await client.get("/v1/operator/drifts", headers=world.operator.headers)
    assert answer.status_code == 200, answer.text
    shown = [(each["title"], each["student_name"], each["instructor_name"]) for each in answer.json()["data"]]
    assert shown == [("Counterpoint", "Ada", "Nadia"), (None, None, "Nadia"), (None, None, None)]
    assert len(statements) == 1
