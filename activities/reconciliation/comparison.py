"""The ledger beside Stripe's books, for what has changed in either since the last run."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Row, func, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from temporalio import activity

from activities.database import ledger
from activities.database.transactions import transaction
from activities.gateways import BalanceGateway, ChargeBalances
from models.domain import postings
from models.domain.money import Money
from models.domain.reconciliation import (
    MOST_DIFFERENCES,
    Book,
    Compared,
    Difference,
    DriftKind,
    ReconciliationStarted,
    Total,
    add_up,
)
from models.tables.ledger import LedgerTransaction
from models.tables.payments import Payment
from models.tables.people import Instructor
from models.tables.reconciliation import Drift

T = TypeVar("T")
Place = tuple[UUID, Book, str]

_AT_ONCE = 50
_CALLS_AT_ONCE = 5
_OF_BOOKINGS = """
SELECT happened.booking_id, happened.instructor_id, entry.currency,
       coalesce(sum(amount_minor) FILTER (WHERE account = 'card_holds'), 0) AS held,
       coalesce(sum(amount_minor) FILTER (WHERE account = 'stripe_balance'), 0) AS platform,
       coalesce(sum(amount_minor) FILTER (
           WHERE account = 'connected_balance' AND kind NOT IN ('paid_out', 'payout_failed')), 0) AS connected,
       bool_or(kind = 'captured') AND NOT bool_or(kind = 'stripe_fee' AND subject = happened.booking_id::text)
           AS lacks_fee
FROM ledger_transaction AS happened
JOIN ledger_entry AS entry ON entry.transaction_id = happened.id
WHERE happened.booking_id = ANY(:bookings)
GROUP BY happened.booking_id, happened.instructor_id, entry.currency
"""
_OF_INSTRUCTORS = """
SELECT happened.instructor_id, entry.currency, sum(amount_minor) AS balance
FROM ledger_transaction AS happened
JOIN ledger_entry AS entry ON entry.transaction_id = happened.id AND entry.account = 'connected_balance'
WHERE happened.instructor_id = ANY(:instructors)
GROUP BY happened.instructor_id, entry.currency
"""


@dataclass(frozen=True)
class _Booking:
    id: UUID
    instructor_id: UUID | None
    charge_id: str
    currency: str
    held: int = 0
    platform: int = 0
    connected: int = 0
    lacks_fee: bool = False


class ComparisonActivities:
    """All of it may be tried again: nothing is changed but a fee that was not known, which is booked once."""

    def __init__(self, engine: AsyncEngine, books: BalanceGateway) -> None:
        self._engine = engine
        self._books = books

    @activity.defn
    async def compare_books(self, started: ReconciliationStarted) -> Compared:
        """Every booking with a movement at Stripe or in the ledger since the last run, and each account of this run."""
        balance_transactions, charges, newest_at = await self._moved(started)
        transactions, seq, changed = await self._written(started)
        booking_ids = changed | await self._bookings_of(charges) | await self._drifted()
        compared = Compared(
            balance_transactions=balance_transactions, transactions=transactions, ledger_seq=seq, newest_at=newest_at
        )
        ids = sorted(booking_ids)
        for first in range(0, len(ids), _AT_ONCE):
            compared = _together(compared, await self._compare_bookings(ids[first : first + _AT_ONCE]))
        accounts = await self._accounts_of(started)
        for first in range(0, len(accounts), _AT_ONCE):
            compared = _together(compared, await self._compare_balances(accounts[first : first + _AT_ONCE]))
        return compared

    @activity.defn
    async def compare_differences(self, differences: list[Difference]) -> Compared:
        """Those that were different a moment ago: what is under way gets there."""
        bookings = sorted({each.subject for each in differences if each.kind is DriftKind.BOOKING})
        of = {each.subject for each in differences if each.kind is DriftKind.BALANCE}
        query = select(Instructor.id, Instructor.stripe_account_id).where(col(Instructor.id).in_(of))
        async with transaction(self._engine) as session:
            accounts = [(id, account) for id, account in await session.exec(query) if account]
        only = {each.place for each in differences}
        compared = await self._compare_bookings(bookings, only)
        return _together(compared, await self._compare_balances(accounts, only))

    async def _moved(self, started: ReconciliationStarted) -> tuple[int, set[str], datetime | None]:
        """How many movements there were at Stripe, the charges that they go back to, and when the newest was."""
        number, charges, newest_at = 0, set[str](), None
        async for balance_transaction in self._books.balance_transactions(started.events_since):
            number += 1
            if number % _AT_ONCE == 0:
                activity.heartbeat()
            newest_at = max(newest_at or balance_transaction.created_at, balance_transaction.created_at)
            if balance_transaction.charge_id:
                charges.add(balance_transaction.charge_id)
        return number, charges, newest_at

    async def _written(self, started: ReconciliationStarted) -> tuple[int, int, set[UUID]]:
        """How many transactions the ledger has got, its newest number, and the bookings that they are about."""
        seq = col(LedgerTransaction.seq)
        query = select(LedgerTransaction.booking_id, func.count(), func.max(seq)).where(seq > started.ledger_after)
        async with transaction(self._engine) as session:
            found = list(await session.exec(query.group_by(col(LedgerTransaction.booking_id))))
        newest = max((highest or 0 for _, _, highest in found), default=started.ledger_after)
        return sum(count for _, count, _ in found), newest, {id for id, _, _ in found if id}

    async def _bookings_of(self, charges: set[str]) -> set[UUID]:
        """Charges that are no booking's are another program's."""
        found: set[UUID] = set()
        ids = sorted(charges)
        async with transaction(self._engine) as session:
            for first in range(0, len(ids), 1_000):
                query = select(Payment.booking_id).where(col(Payment.charge_id).in_(ids[first : first + 1_000]))
                found |= set(await session.exec(query))
        return found

    async def _drifted(self) -> set[UUID]:
        query = select(Drift.booking_id).where(col(Drift.resolved_at).is_(None), col(Drift.kind) == DriftKind.BOOKING)
        async with transaction(self._engine) as session:
            return {id for id in await session.exec(query) if id}

    async def _accounts_of(self, started: ReconciliationStarted) -> list[tuple[UUID, str]]:
        query = select(Instructor.id, Instructor.stripe_account_id).where(col(Instructor.reconciled_at) == started.at)
        async with transaction(self._engine) as session:
            return [(id, account) for id, account in await session.exec(query) if account]

    async def _compare_bookings(self, ids: Sequence[UUID], only: set[Place] | None = None) -> Compared:
        bookings = await self._in_the_ledger(ids) if ids else []
        stripes = await _few_at_a_time(self._books.of_charge(each.charge_id, each.currency) for each in bookings)
        totals: list[Total] = []
        differences: list[Difference] = []
        fees = 0
        for booking, stripe in zip(bookings, stripes, strict=True):
            fee = await self._book_fee(booking, stripe)
            fees += fee is not None
            sides = [
                side
                for side in _sides(booking, stripe, fee)
                if only is None or (booking.id, side.book, booking.currency) in only
            ]
            totals += sides
            differences += [
                Difference(kind=DriftKind.BOOKING, subject=booking.id, **dict(side))
                for side in sides
                if side.ledger != side.stripe
            ]
        return Compared(
            bookings=len(bookings), fees_booked=fees, totals=add_up((), totals), differences=tuple(differences)
        )

    async def _in_the_ledger(self, ids: Sequence[UUID]) -> list[_Booking]:
        """Also those of which the ledger knows nothing, as long as they have a charge."""
        query = select(Payment.booking_id, Payment.charge_id, Payment.currency).where(
            col(Payment.booking_id).in_(ids), col(Payment.charge_id).is_not(None)
        )
        async with transaction(self._engine) as session:
            payments = list(await session.exec(query))
            found = await (await session.connection()).execute(text(_OF_BOOKINGS), {"bookings": list(ids)})
            rows = {(row.booking_id, row.currency): row for row in found}
        return [
            _booking(id, charge_id or "", currency, rows.get((id, currency))) for id, charge_id, currency in payments
        ]

    async def _book_fee(self, booking: _Booking, stripe: ChargeBalances) -> Money | None:
        """Stripe books a charge after its capture was answered, at times: then nobody knew its fee."""
        fee = stripe.fee
        if not booking.lacks_fee or not fee or booking.instructor_id is None:
            return None
        parties = postings.Parties(booking_id=booking.id, instructor_id=booking.instructor_id)
        async with transaction(self._engine) as session:
            at = (await session.exec(select(func.now()))).one()
            await ledger.post(session, at, postings.stripe_fee(parties, str(booking.id), fee))
        return fee

    async def _compare_balances(self, accounts: Sequence[tuple[UUID, str]], only: set[Place] | None = None) -> Compared:
        if not accounts:
            return Compared()
        stripes = await _few_at_a_time(self._books.balance_of(account) for _, account in accounts)
        async with transaction(self._engine) as session:
            found = await (await session.connection()).execute(
                text(_OF_INSTRUCTORS), {"instructors": [id for id, _ in accounts]}
            )
            ours = {(row.instructor_id, row.currency): int(row.balance) for row in found}
        theirs = {
            (id, currency): amount
            for (id, _), balance in zip(accounts, stripes, strict=True)
            for currency, amount in balance.items()
        }
        totals, differences = [], []
        for id, currency in sorted(ours.keys() | theirs.keys()):
            if only is not None and (id, Book.CONNECTED_BALANCE, currency) not in only:
                continue
            total = Total(
                book=Book.CONNECTED_BALANCE,
                ledger=Money(amount_minor=ours.get((id, currency), 0), currency=currency),
                stripe=Money(amount_minor=theirs.get((id, currency), 0), currency=currency),
            )
            totals.append(total)
            if total.ledger != total.stripe:
                differences.append(Difference(kind=DriftKind.BALANCE, subject=id, **dict(total)))
        return Compared(balances=len(accounts), totals=add_up((), totals), differences=tuple(differences))


def _booking(id: UUID, charge_id: str, currency: str, row: Row[Any] | None) -> _Booking:
    if row is None:
        return _Booking(id, None, charge_id, currency)
    held, platform, connected = int(row.held), int(row.platform), int(row.connected)
    return _Booking(id, row.instructor_id, charge_id, currency, held, platform, connected, row.lacks_fee)


def _sides(booking: _Booking, stripe: ChargeBalances, fee_booked: Money | None) -> list[Total]:
    def ours(amount_minor: int) -> Money:
        return Money(amount_minor=amount_minor, currency=booking.currency)

    platform = ours(booking.platform) - fee_booked if fee_booked else ours(booking.platform)
    return [
        Total(book=Book.CARD_HOLDS, ledger=ours(booking.held), stripe=stripe.held),
        Total(book=Book.STRIPE_BALANCE, ledger=platform, stripe=stripe.platform),
        Total(book=Book.TRANSFERS, ledger=ours(booking.connected), stripe=stripe.connected),
    ]


def _together(one: Compared, other: Compared) -> Compared:
    return Compared(
        balance_transactions=one.balance_transactions,
        transactions=one.transactions,
        ledger_seq=one.ledger_seq,
        newest_at=one.newest_at,
        bookings=one.bookings + other.bookings,
        balances=one.balances + other.balances,
        fees_booked=one.fees_booked + other.fees_booked,
        totals=add_up(one.totals, list(other.totals)),
        differences=(*one.differences, *other.differences)[:MOST_DIFFERENCES],
    )


async def _few_at_a_time(calls: Iterable[Awaitable[T]]) -> list[T]:
    """In their order. Stripe allows so many calls a second, and bookings come first."""
    gate = asyncio.Semaphore(_CALLS_AT_ONCE)

    async def one(call: Awaitable[T]) -> T:
        async with gate:
            answer = await call
        activity.heartbeat()
        return answer

    return await asyncio.gather(*(one(call) for call in calls))
