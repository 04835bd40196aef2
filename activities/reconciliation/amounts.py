"""The ledger's amounts that are compared with Stripe: of bookings, and of instructors' balances."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.reconciliation import Book
from models.tables.ledger import InstructorBalance
from models.tables.payments import Payment

# What Stripe has converted is compared as it was before: rates are Stripe's.
_BOOKING_AMOUNTS = """
SELECT posting.booking_id, posting.instructor_id, entry.currency,
       coalesce(sum(amount_minor) FILTER (WHERE account = 'card_holds'), 0) AS held,
       coalesce(sum(amount_minor) FILTER (WHERE account = 'stripe_balance' AND kind <> 'exchanged'), 0) AS platform,
       coalesce(sum(amount_minor) FILTER (
           WHERE account = 'connected_balance' AND kind NOT IN ('paid_out', 'payout_failed', 'exchanged')
       ), 0) AS connected,
       coalesce(sum(amount_minor) FILTER (WHERE account = 'stripe_balance' AND kind = 'exchanged'), 0) AS exchanged,
       count(*) FILTER (WHERE account = 'stripe_balance' AND kind = 'exchanged') AS exchanges,
       bool_or(kind IN ('captured', 'charged') AND account = 'stripe_balance') AS is_captured,
       bool_or(kind = 'stripe_fee' AND subject = posting.booking_id::text) AS has_fee
FROM ledger_transaction AS posting
JOIN ledger_entry AS entry ON entry.transaction_id = posting.id
WHERE posting.booking_id = ANY(:bookings)
GROUP BY posting.booking_id, posting.instructor_id, entry.currency
"""
_WITHOUT_BOOKING = """
SELECT entry.currency, sum(amount_minor) AS amount
FROM ledger_transaction AS posting
JOIN ledger_entry AS entry ON entry.transaction_id = posting.id AND entry.account = 'stripe_balance'
WHERE posting.instructor_id = :instructor AND posting.booking_id IS NULL
GROUP BY entry.currency
"""


@dataclass(frozen=True)
class BookingAmounts:
    id: UUID
    instructor_id: UUID | None
    charge_id: str
    currency: str
    held: int = 0
    platform: int = 0
    connected: int = 0
    lacks_fee: bool = False
    in_other_currencies: Mapping[str, int] = field(default_factory=dict)
    """Postings to the platform's balance in other currencies than the charge's: Stripe's fees."""
    exchanged: Mapping[str, int] = field(default_factory=dict)
    """What has been converted on the platform's balance, by currency."""
    exchanges: int = 0
    """The number of postings of it, by currency: it grows with each of them."""


async def of_bookings(session: AsyncSession, ids: Sequence[UUID]) -> list[BookingAmounts]:
    """The amounts of each booking with a charge; zero if the ledger has none."""
    query = select(Payment.booking_id, Payment.charge_id, Payment.currency).where(
        col(Payment.booking_id).in_(ids), col(Payment.charge_id).is_not(None)
    )
    payments = list(await session.exec(query))
    rows = await _rows_by_booking(session, ids)
    return [_booking(id, charge_id or "", currency, rows.get(id, {})) for id, charge_id, currency in payments]


async def of_booking(session: AsyncSession, booking_id: UUID, currency: str) -> dict[tuple[Book, str], int]:
    """A booking's amounts in the ledger, by book and currency."""
    rows = await _rows_by_booking(session, [booking_id])
    booking = _booking(booking_id, "", currency, rows.get(booking_id, {}))
    return {
        (Book.CARD_HOLDS, currency): booking.held,
        (Book.STRIPE_BALANCE, currency): booking.platform,
        (Book.TRANSFERS, currency): booking.connected,
        **{(Book.STRIPE_BALANCE, other): amount for other, amount in booking.in_other_currencies.items()},
    }


async def instructor_balances(session: AsyncSession, ids: Sequence[UUID]) -> dict[tuple[UUID, str], int]:
    """Instructors' balances in the ledger, by instructor and currency."""
    found = await session.exec(select(InstructorBalance).where(col(InstructorBalance.instructor_id).in_(ids)))
    return {(row.instructor_id, row.currency): row.amount_minor for row in found}


async def transfers_without_booking(session: AsyncSession, instructor_id: UUID) -> dict[str, int]:
    """What the ledger says that an instructor has cost the platform's balance without a booking, by currency."""
    found = await (await session.connection()).execute(text(_WITHOUT_BOOKING), {"instructor": instructor_id})
    return {row.currency: int(row.amount) for row in found}


async def _rows_by_booking(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, dict[str, Row[Any]]]:
    rows: dict[UUID, dict[str, Row[Any]]] = {}
    for row in await (await session.connection()).execute(text(_BOOKING_AMOUNTS), {"bookings": list(ids)}):
        rows.setdefault(row.booking_id, {})[row.currency] = row
    return rows


def _booking(id: UUID, charge_id: str, currency: str, rows: Mapping[str, Row[Any]]) -> BookingAmounts:
    row = rows.get(currency)
    if row is None:
        return BookingAmounts(id, None, charge_id, currency)
    lacks_fee = row.is_captured and not any(each.has_fee for each in rows.values())
    return BookingAmounts(
        id,
        row.instructor_id,
        charge_id,
        currency,
        held=int(row.held),
        platform=int(row.platform),
        connected=int(row.connected),
        lacks_fee=lacks_fee,
        in_other_currencies={other: int(each.platform) for other, each in rows.items() if other != currency},
        exchanged={each_currency: int(each.exchanged) for each_currency, each in rows.items()},
        exchanges=sum(each.exchanges for each in rows.values()),
    )
