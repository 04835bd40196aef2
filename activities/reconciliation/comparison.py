"""Compares the ledger with Stripe, for everything that has changed in either since the last run."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from temporalio import activity

from activities.database import ledger
from activities.database.transactions import transaction
from activities.gateways import BalanceGateway, ChargeBalances
from activities.reconciliation import amounts
from activities.reconciliation.amounts import BookingAmounts
from activities.reconciliation.conversions import Conversions
from models.domain import postings
from models.domain.money import Money
from models.domain.reconciliation import (
    MOST_DIFFERENCES,
    Book,
    ComparisonResult,
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
"""What a difference is about: a booking or an instructor, the book, and the currency."""

_BATCH_SIZE = 50
_MAX_CONCURRENT_CALLS = 5


class ComparisonActivities:
    """All are safe to retry: they write only what Stripe took or converted and the ledger lacks, each of it once."""

    def __init__(self, engine: AsyncEngine, balances: BalanceGateway) -> None:
        self._engine = engine
        self._balances = balances
        self._conversions = Conversions(engine, balances)

    @activity.defn
    async def compare_books(self, started: ReconciliationStarted) -> ComparisonResult:
        """Compare the bookings that changed at Stripe or in the ledger since the last run, and this run's accounts."""
        balance_transactions, charges, newest_at = await self._read_stripe(started)
        transactions, seq, changed = await self._read_ledger(started)
        booking_ids = changed | await self._bookings_of(charges) | await self._drifting()
        compared = ComparisonResult(
            balance_transactions=balance_transactions, transactions=transactions, ledger_seq=seq, newest_at=newest_at
        )
        ids = sorted(booking_ids)
        for first in range(0, len(ids), _BATCH_SIZE):
            compared = merged(compared, await self._compare_bookings(ids[first : first + _BATCH_SIZE]))
        accounts = await self._accounts_of(started)
        for first in range(0, len(accounts), _BATCH_SIZE):
            compared = merged(compared, await self._compare_balances(accounts[first : first + _BATCH_SIZE]))
        return compared

    @activity.defn
    async def compare_differences(self, differences: list[Difference]) -> ComparisonResult:
        """Compare again what was different before: a change that was in progress may be complete now."""
        bookings = sorted({each.subject for each in differences if each.kind is DriftKind.BOOKING})
        instructors = {each.subject for each in differences if each.kind is DriftKind.BALANCE}
        query = select(Instructor.id, Instructor.stripe_account_id).where(col(Instructor.id).in_(instructors))
        async with transaction(self._engine) as session:
            accounts = [(id, account) for id, account in await session.exec(query) if account]
        only = {each.place for each in differences}
        compared = await self._compare_bookings(bookings, only)
        return merged(compared, await self._compare_balances(accounts, only))

    @activity.defn
    async def compare_booking(self, booking_id: UUID) -> list[Difference]:
        """What differs between one booking's ledger and Stripe now."""
        return list((await self._compare_bookings([booking_id])).differences)

    @activity.defn
    async def compare_balance(self, instructor_id: UUID) -> list[Difference]:
        """What differs between an instructor's balance and the ledger now, and why.

        The transfers without a charge are compared as well: the platform has paid them.
        """
        async with transaction(self._engine) as session:
            instructor = await session.get_one(Instructor, instructor_id)
        if instructor.stripe_account_id is None:
            return []
        found = (await self._compare_balances([(instructor_id, instructor.stripe_account_id)])).differences
        if not found:
            return []
        theirs = await self._balances.transferred_without_charge(instructor.stripe_account_id)
        async with transaction(self._engine) as session:
            ours = await amounts.transfers_without_booking(session, instructor_id)
        transferred = [
            Difference(
                kind=DriftKind.BALANCE,
                subject=instructor_id,
                book=Book.STRIPE_BALANCE,
                ledger=Money(amount_minor=ours.get(currency, 0), currency=currency),
                stripe=Money(amount_minor=-theirs.get(currency, 0), currency=currency),
            )
            for currency in sorted(ours.keys() | theirs.keys())
            if ours.get(currency, 0) != -theirs.get(currency, 0)
        ]
        return [*found, *transferred]

    async def _read_stripe(self, started: ReconciliationStarted) -> tuple[int, set[str], datetime | None]:
        """The number of balance transactions since the last run, their charges, and the time of the newest."""
        number, charges, newest_at = 0, set[str](), None
        async for balance_transaction in self._balances.balance_transactions(started.events_since):
            number += 1
            if number % _BATCH_SIZE == 0:
                activity.heartbeat()
            newest_at = max(newest_at or balance_transaction.created_at, balance_transaction.created_at)
            if balance_transaction.charge_id:
                charges.add(balance_transaction.charge_id)
        return number, charges, newest_at

    async def _read_ledger(self, started: ReconciliationStarted) -> tuple[int, int, set[UUID]]:
        """The number of ledger transactions since the last run, the highest sequence number, and their bookings."""
        seq = col(LedgerTransaction.seq)
        query = select(LedgerTransaction.booking_id, func.count(), func.max(seq)).where(seq > started.ledger_after)
        async with transaction(self._engine) as session:
            found = list(await session.exec(query.group_by(col(LedgerTransaction.booking_id))))
        newest = max((highest or 0 for _, _, highest in found), default=started.ledger_after)
        return sum(count for _, count, _ in found), newest, {id for id, _, _ in found if id}

    async def _bookings_of(self, charges: set[str]) -> set[UUID]:
        """The bookings of these charges. Any other charge is another program's."""
        found: set[UUID] = set()
        ids = sorted(charges)
        async with transaction(self._engine) as session:
            for first in range(0, len(ids), 1_000):
                query = select(Payment.booking_id).where(col(Payment.charge_id).in_(ids[first : first + 1_000]))
                found |= set(await session.exec(query))
        return found

    async def _drifting(self) -> set[UUID]:
        """Bookings with an open drift."""
        query = select(Drift.booking_id).where(col(Drift.resolved_at).is_(None), col(Drift.kind) == DriftKind.BOOKING)
        async with transaction(self._engine) as session:
            return {id for id in await session.exec(query) if id}

    async def _accounts_of(self, started: ReconciliationStarted) -> list[tuple[UUID, str]]:
        """The connected accounts whose events this run has read, by instructor."""
        query = select(Instructor.id, Instructor.stripe_account_id).where(col(Instructor.reconciled_at) == started.at)
        async with transaction(self._engine) as session:
            return [(id, account) for id, account in await session.exec(query) if account]

    async def _compare_bookings(self, ids: Sequence[UUID], only: set[Place] | None = None) -> ComparisonResult:
        async with transaction(self._engine) as session:
            bookings = await amounts.of_bookings(session, ids) if ids else []
        found = await _gather(self._balances.of_charge(each.charge_id, each.currency) for each in bookings)
        charges = [charge.as_booked(booking.connected) for booking, charge in zip(bookings, found, strict=True)]
        totals: list[Total] = []
        differences: list[Difference] = []
        fees = 0
        for booking, charge in zip(bookings, charges, strict=True):
            fee = await self._post_fee(booking, charge)
            fees += fee is not None
            await self._conversions.convert_charge(booking, charge)
            booking_totals = [
                total
                for total in _totals(booking, charge, fee)
                if only is None or (booking.id, total.book, total.ledger.currency) in only
            ]
            totals += booking_totals
            differences += [
                Difference(kind=DriftKind.BOOKING, subject=booking.id, **dict(total))
                for total in booking_totals
                if total.ledger != total.stripe
            ]
        return ComparisonResult(
            bookings=len(bookings), fees_booked=fees, totals=add_up((), totals), differences=tuple(differences)
        )

    async def _post_fee(self, booking: BookingAmounts, charge: ChargeBalances) -> Money | None:
        """Post Stripe's fee if the ledger lacks it: the balance transaction may be created after the capture call."""
        fee = charge.fee
        if not booking.lacks_fee or not fee or booking.instructor_id is None:
            return None
        parties = postings.Parties(booking_id=booking.id, instructor_id=booking.instructor_id)
        async with transaction(self._engine) as session:
            at = (await session.exec(select(func.now()))).one()
            await ledger.post(session, at, postings.stripe_fee(parties, str(booking.id), fee))
        return fee

    async def _compare_balances(
        self, accounts: Sequence[tuple[UUID, str]], only: set[Place] | None = None
    ) -> ComparisonResult:
        if not accounts:
            return ComparisonResult()
        balances = await _gather(self._balances.balance_of(account) for _, account in accounts)
        ours = await self._balances_in_ledger(dict(accounts), dict(zip(dict(accounts), balances, strict=True)))
        theirs = {
            (id, currency): amount
            for (id, _), balance in zip(accounts, balances, strict=True)
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
        return ComparisonResult(balances=len(accounts), totals=add_up((), totals), differences=tuple(differences))

    async def _balances_in_ledger(
        self, accounts: Mapping[UUID, str], balances: Mapping[UUID, Mapping[str, int]]
    ) -> dict[tuple[UUID, str], int]:
        """The ledger's balances of instructors, once it has what Stripe has converted.

        Stripe has converted an amount in a currency in which the account has no balance. A closed account has none. An
        account with a balance in it may have shares of charges that Stripe converted for the platform.
        """
        async with transaction(self._engine) as session:
            ours = await amounts.instructor_balances(session, list(accounts))
        converted = [
            (id, currency)
            for (id, currency), amount in sorted(ours.items())
            if amount and balances[id] and amount != balances[id].get(currency)
        ]
        if not converted:
            return ours
        for id, currency in converted:
            await self._conversions.convert_shares(id, accounts[id], currency, only_settled=currency in balances[id])
        async with transaction(self._engine) as session:
            return await amounts.instructor_balances(session, list(accounts))


def _totals(booking: BookingAmounts, charge: ChargeBalances, posted_fee: Money | None) -> list[Total]:
    def ours(amount_minor: int, currency: str = booking.currency) -> Money:
        return Money(amount_minor=amount_minor, currency=currency)

    platform = Counter({booking.currency: booking.platform, **booking.in_other_currencies})
    if posted_fee:
        platform[posted_fee.currency] -= posted_fee.amount_minor
    stripe = {each.currency: each for each in (charge.platform, *charge.in_other_currencies)}
    return [
        Total(book=Book.CARD_HOLDS, ledger=ours(booking.held), stripe=charge.held),
        *(
            Total(book=Book.STRIPE_BALANCE, ledger=ours(platform[each], each), stripe=stripe.get(each, ours(0, each)))
            for each in sorted(platform.keys() | stripe.keys())
        ),
        Total(book=Book.TRANSFERS, ledger=ours(booking.connected), stripe=charge.connected),
    ]


def merged(first: ComparisonResult, second: ComparisonResult) -> ComparisonResult:
    differences = (*first.differences, *second.differences)
    return ComparisonResult(
        balance_transactions=first.balance_transactions,
        transactions=first.transactions,
        ledger_seq=first.ledger_seq,
        newest_at=first.newest_at,
        bookings=first.bookings + second.bookings,
        balances=first.balances + second.balances,
        fees_booked=first.fees_booked + second.fees_booked,
        totals=add_up(first.totals, list(second.totals)),
        differences=differences[:MOST_DIFFERENCES],
        omitted=first.omitted + second.omitted + len(differences[MOST_DIFFERENCES:]),
    )


async def _gather(calls: Iterable[Awaitable[T]]) -> list[T]:
    """The results in order. Few calls run at once: Stripe limits calls per second, and bookings come first."""
    semaphore = asyncio.Semaphore(_MAX_CONCURRENT_CALLS)

    async def one(call: Awaitable[T]) -> T:
        async with semaphore:
            result = await call
        activity.heartbeat()
        return result

    return await asyncio.gather(*(one(call) for call in calls))
