"""The demo's balances from both sides: Holdfast's ledger, and Stripe's balance transactions."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

import stripe
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.ledger import Account
from models.tables.ledger import LedgerEntry, LedgerTransaction
from models.tables.people import Instructor

_ACCOUNTS_AT_STRIPE = (Account.STRIPE_BALANCE, Account.CONNECTED_BALANCE, Account.STRIPE_FEES)
"""The accounts whose balances Stripe has, too."""

Balances = Counter[tuple[Account, UUID | None, str]]
"""Minor units by account, instructor and currency. The instructor is None for the platform's accounts."""


async def unbalanced_transactions(engine: AsyncEngine) -> tuple[int, int]:
    """How many of the ledger's transactions do not sum to zero in a currency, and how many there are."""
    by_transaction = (col(LedgerEntry.transaction_id), col(LedgerEntry.currency))
    sums = select(func.sum(col(LedgerEntry.amount_minor))).group_by(*by_transaction)
    async with AsyncSession(engine) as session:
        amounts = (await session.exec(sums)).all()
    return len([amount for amount in amounts if amount]), len(amounts)


async def ledger_balances(engine: AsyncEngine) -> Balances:
    """The balances of Holdfast's ledger, for the accounts that Stripe has, too."""
    amount = func.sum(col(LedgerEntry.amount_minor))
    grouping = (col(LedgerEntry.account), col(LedgerTransaction.instructor_id), col(LedgerEntry.currency))
    query = (
        select(*grouping, amount)
        .join(LedgerTransaction, col(LedgerTransaction.id) == col(LedgerEntry.transaction_id))
        .where(col(LedgerEntry.account).in_(_ACCOUNTS_AT_STRIPE))
        .group_by(*grouping)
    )
    balances: Balances = Counter()
    async with AsyncSession(engine) as session:
        for account, instructor_id, currency, sum_minor in await session.exec(query):
            owner = instructor_id if account is Account.CONNECTED_BALANCE else None
            balances[account, owner, currency] += int(sum_minor)
    return balances


async def stripe_balances(engine: AsyncEngine, client: stripe.StripeClient, start: datetime) -> Balances:
    """The balances from the balance transactions since `start`, without the platform's own payouts."""
    balances: Balances = Counter()
    async for transaction in _balance_transactions(client, start):
        if transaction.type != "payout":
            balances[Account.STRIPE_BALANCE, None, transaction.currency] += transaction.net
            balances[Account.STRIPE_FEES, None, transaction.currency] += transaction.fee
    async with AsyncSession(engine) as session:
        instructors = (await session.exec(select(Instructor.id, Instructor.stripe_account_id))).all()
    for instructor_id, account_id in instructors:
        if account_id:
            async for transaction in _balance_transactions(client, start, account_id):
                balances[Account.CONNECTED_BALANCE, instructor_id, transaction.currency] += transaction.net
    return balances


async def _balance_transactions(
    client: stripe.StripeClient, start: datetime, account_id: str | None = None
) -> AsyncIterator[stripe.BalanceTransaction]:
    options: stripe.RequestOptions = {"stripe_account": account_id} if account_id else {}
    listing = await client.v1.balance_transactions.list_async(
        {"created": {"gte": int(start.timestamp())}, "limit": 100}, options
    )
    async for transaction in listing.auto_paging_iter():
        yield transaction
