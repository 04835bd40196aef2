"""Steps of the reconciliation tests."""

import asyncio
from datetime import timedelta
from itertools import cycle
from uuid import UUID, uuid4

import httpx
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client

from models.domain.ledger import Account
from models.domain.reconciliation import SweepReport
from models.tables.ledger import LedgerEntry, LedgerTransaction
from sandbox.browser.checkout_page import GOOD_CARD, pay
from tests.api.live.journey import REASON, order
from tests.api.live.reconciliation.stripe_side import StripeSide
from tests.api.live.workers import Workers
from tests.api.world import JSON, Person, book
from workflows.orphans import OrphanSweepWorkflow

_HOURS = cycle(range(12))


def usd(amount_minor: int) -> JSON:
    return {"amount_minor": amount_minor, "currency": "usd"}


async def slot(stripe_side: StripeSide, starts_in: timedelta = timedelta(days=2)) -> UUID:
    """A new slot, an hour after the end of the last one."""
    return await stripe_side.world.slot(starts_in + timedelta(hours=2 * next(_HOURS)))


async def booked(stripe_side: StripeSide, starts_in: timedelta = timedelta(days=2)) -> JSON:
    slot_id = await slot(stripe_side, starts_in)
    answer = await book(stripe_side.client, stripe_side.world.student, slot_id, key=uuid4().hex)
    assert answer.status_code == 201, answer.text
    created: JSON = answer.json()
    return created


async def held(stripe_side: StripeSide, card: str = GOOD_CARD, starts_in: timedelta = timedelta(days=2)) -> str:
    created = await booked(stripe_side, starts_in)
    assert await pay(created["checkout_url"], card)
    await stripe_side.deliver()
    booking_id: str = created["id"]
    await until(stripe_side, booking_id, lambda shown: shown["payment"] is not None)
    return booking_id


async def approved(stripe_side: StripeSide, card: str = GOOD_CARD, starts_in: timedelta = timedelta(days=2)) -> str:
    booking_id = await held(stripe_side, card, starts_in)
    approve = f"/v1/bookings/{booking_id}/approve"
    assert (await stripe_side.client.post(approve, headers=stripe_side.world.instructor.headers)).status_code == 200
    return booking_id


async def settled(stripe_side: StripeSide, card: str = GOOD_CARD, starts_in: timedelta = timedelta(days=2)) -> str:
    booking_id = await approved(stripe_side, card, starts_in)
    settlement = await order(stripe_side.client, stripe_side.world.operator, booking_id, "settle", REASON)
    assert settlement.status_code == 200
    return booking_id


async def shown(stripe_side: StripeSide, booking_id: str, person: Person | None = None) -> httpx.Response:
    headers = (person or stripe_side.world.operator).headers
    return await stripe_side.client.get(f"/v1/bookings/{booking_id}", headers=headers)


async def until(stripe_side: StripeSide, booking_id: str, is_so: object) -> JSON:
    assert callable(is_so)
    for _ in range(200):
        answer = await shown(stripe_side, booking_id)
        if answer.status_code == 200 and is_so(answer.json()):
            seen: JSON = answer.json()
            return seen
        await asyncio.sleep(0.1)
    raise AssertionError(f"still not so: {answer.text}")


async def balances(stripe_side: StripeSide, booking_id: str) -> dict[Account, int]:
    query = (
        select(LedgerEntry)
        .join(LedgerTransaction, col(LedgerTransaction.id) == col(LedgerEntry.transaction_id))
        .where(col(LedgerTransaction.booking_id) == UUID(booking_id))
    )
    sums: dict[Account, int] = {}
    async with AsyncSession(stripe_side.world.engine) as session:
        for entry in await session.exec(query):
            sums[entry.account] = sums.get(entry.account, 0) + entry.amount_minor
    return {account: amount for account, amount in sums.items() if amount}


async def terminate(temporal: Client, id: str) -> None:
    """Terminate a workflow, and wait until Temporal's visibility store has it."""
    await temporal.get_workflow_handle(id).terminate("by a test")
    await listed(temporal, id, "Terminated")


async def listed(temporal: Client, id: str, status: str) -> None:
    """Wait until Temporal's visibility store has a run of the workflow with this status."""
    query = f"WorkflowId = '{id}' AND ExecutionStatus = '{status}'"
    for _ in range(200):
        if (await temporal.count_workflows(query)).count:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"Temporal does not list the workflow as {status}")


async def change(
    stripe_side: StripeSide, table: type[SQLModel], booking_id: str, **fields: object
) -> dict[str, object]:
    """Change the record behind the workflow's back. Returns what it was before."""
    async with AsyncSession(stripe_side.world.engine) as session, session.begin():
        row = await session.get_one(table, UUID(booking_id))
        before = {name: getattr(row, name) for name in fields}
        row.sqlmodel_update(fields)
    return before


async def sweep(workers: Workers) -> SweepReport:
    """What the schedule starts every minute."""
    return await workers.client.execute_workflow(
        OrphanSweepWorkflow.run, id=f"{workers.task_queue}-sweep-{uuid4()}", task_queue=workers.task_queue
    )
