"""The steps that reconciliations' stories share."""

import asyncio
from datetime import timedelta
from itertools import cycle
from uuid import UUID, uuid4

import httpx
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client

from models.domain.ledger import Account
from models.tables.ledger import LedgerEntry, LedgerTransaction
from sandbox.browser.checkout_page import GOOD_CARD, pay
from tests.api.live.journey import order
from tests.api.live.reconciliation.books import Books
from tests.api.world import JSON, Person, book

_HOURS = cycle(range(12))


def usd(amount_minor: int) -> JSON:
    return {"amount_minor": amount_minor, "currency": "usd"}


async def slot(books: Books) -> UUID:
    """Each an hour after the other."""
    return await books.world.slot(timedelta(days=2, hours=2 * next(_HOURS)))


async def booked(books: Books) -> JSON:
    answer = await book(books.client, books.world.student, await slot(books), key=uuid4().hex)
    assert answer.status_code == 201, answer.text
    created: JSON = answer.json()
    return created


async def held(books: Books, card: str = GOOD_CARD) -> str:
    created = await booked(books)
    assert await pay(created["checkout_url"], card)
    await books.deliver()
    booking_id: str = created["id"]
    await until(books, booking_id, lambda shown: shown["payment"] is not None)
    return booking_id


async def approved(books: Books, card: str = GOOD_CARD) -> str:
    booking_id = await held(books, card)
    approve = f"/v1/bookings/{booking_id}/approve"
    assert (await books.client.post(approve, headers=books.world.instructor.headers)).status_code == 200
    return booking_id


async def settled(books: Books, card: str = GOOD_CARD) -> str:
    booking_id = await approved(books, card)
    assert (await order(books.client, books.world.operator, booking_id, "settle")).status_code == 200
    return booking_id


async def shown(books: Books, booking_id: str, person: Person | None = None) -> httpx.Response:
    headers = (person or books.world.operator).headers
    return await books.client.get(f"/v1/bookings/{booking_id}", headers=headers)


async def until(books: Books, booking_id: str, is_so: object) -> JSON:
    assert callable(is_so)
    for _ in range(400):
        answer = await shown(books, booking_id)
        if answer.status_code == 200 and is_so(answer.json()):
            seen: JSON = answer.json()
            return seen
        await asyncio.sleep(0.05)
    raise AssertionError(f"it never came: {answer.text}")


async def balances(books: Books, booking_id: str) -> dict[Account, int]:
    query = (
        select(LedgerEntry)
        .join(LedgerTransaction, col(LedgerTransaction.id) == col(LedgerEntry.transaction_id))
        .where(col(LedgerTransaction.booking_id) == UUID(booking_id))
    )
    sums: dict[Account, int] = {}
    async with AsyncSession(books.world.engine) as session:
        for entry in await session.exec(query):
            sums[entry.account] = sums.get(entry.account, 0) + entry.amount_minor
    return {account: amount for account, amount in sums.items() if amount}


async def terminate(temporal: Client, id: str) -> None:
    """And wait until Temporal's visibility knows."""
    await temporal.get_workflow_handle(id).terminate("by a test")
    query = f"WorkflowId = '{id}' AND ExecutionStatus = 'Terminated'"
    for _ in range(200):
        if (await temporal.count_workflows(query)).count:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("Temporal never said so")
