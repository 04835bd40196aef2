"""The list of drifts: what each is about."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from models.domain.actors import PLATFORM
from models.domain.reconciliation import WAY_OUT, Book, DriftKind
from models.tables.reconciliation import Drift, Reconciliation
from tests.api.sql_statements import noted
from tests.api.world import World, problem

NOW = datetime.now(UTC)
DOCS = Path("docs/api.md").read_text()


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


@pytest.mark.parametrize("kind", DriftKind)
async def test_every_kind_has_a_way_out(client: httpx.AsyncClient, world: World, kind: DriftKind) -> None:
    """In the listing and in the docs. The kinds that an adjustment settles are in the live tests of adjustments."""
    [row] = re.findall(rf"^\| `{kind}` \|.*$", DOCS, re.MULTILINE)
    assert WAY_OUT[kind] in row
    run = Reconciliation(id=uuid4(), by_role=PLATFORM.role, started_at=NOW)
    await world.add(run)
    is_instructors = kind in (DriftKind.BALANCE, DriftKind.INSTRUCTOR_WORKFLOW)
    about = {"instructor_id": world.instructor.id} if is_instructors else {"booking_id": uuid4()}
    await drift(world, run, 0, kind=kind, **about)
    listed = await client.get("/v1/operator/drifts", headers=world.operator.headers)
    [shown] = listed.json()["data"]
    assert shown["way_out"] == WAY_OUT[kind]
    if "Adjust" not in WAY_OUT[kind]:
        path, body = f"/v1/operator/drifts/{shown['id']}/adjust", {"reason": "None."}
        answer = await client.post(path, json=body, headers=world.operator.headers)
        assert problem(answer) == (409, "not-possible-now")
        assert WAY_OUT[kind] in answer.json()["detail"]
