"""Instructors' Stripe balances, according to the ledger."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.money import Money

_OF_INSTRUCTOR = """
SELECT currency, amount_minor AS balance FROM instructor_balance WHERE instructor_id = :instructor ORDER BY currency
"""
# What is on its way has left the balance. A payout is on its way until its shares have arrived, or have come back.
# Its rows are in ix_booking_request_instructor_open, ix_instructor_payout_instructor_unpaid and
# ix_ledger_transaction_payout_id.
_PARTS = """
SELECT currency, sum(held) AS held, sum(balance) AS balance, sum(under_way) AS under_way
FROM (
    SELECT booking.currency, price_minor - booking.platform_fee_minor AS held, 0 AS balance, 0 AS under_way
    FROM booking_request AS booking
    JOIN payment ON payment.booking_id = booking.id AND payment.status IN ('PENDING', 'CAPTURED')
    WHERE booking.instructor_id = :instructor AND booking.status IN ('PENDING', 'ACCEPTED')
    UNION ALL
    SELECT currency, 0, amount_minor, 0 FROM instructor_balance WHERE instructor_id = :instructor
    UNION ALL
    SELECT entry.currency, 0, 0, amount_minor
    FROM ledger_transaction AS transaction
    JOIN ledger_entry AS entry ON entry.transaction_id = transaction.id
    WHERE instructor_id = :instructor AND kind = 'paid_out' AND account = 'instructor_payable'
      AND split_part(subject, '/', 1) = ANY(ARRAY(
          SELECT DISTINCT stripe_payout_id FROM instructor_payout
          WHERE instructor_id = :instructor AND status = 'PROCESSING' AND stripe_payout_id IS NOT NULL
      ))
) AS part
GROUP BY currency
ORDER BY currency
"""
_BELOW_ZERO = """
SELECT instructor_id, instructor.name, currency, amount_minor AS balance
FROM instructor_balance JOIN instructor ON instructor.id = instructor_id
WHERE amount_minor < 0
ORDER BY amount_minor, instructor_id
LIMIT :limit
"""


class Balance(NamedTuple):
    """Where an instructor's money is, in one currency."""

    held: Money
    """Their shares of paid bookings that have not ended: not earned yet."""
    in_balance: Money
    """Earned, and on their balance at Stripe, which pays it out."""
    under_way: Money
    """On its way to their bank."""
    owed: Money
    """What the balance is below zero: later earnings make up for it."""


async def parts_of_instructor(session: AsyncSession, instructor_id: UUID) -> list[Balance]:
    """One for each currency that the instructor has money in, or had."""
    connection = await session.connection()
    rows = await connection.execute(text(_PARTS), {"instructor": instructor_id})
    return [
        Balance(
            *(
                Money(amount_minor=int(amount), currency=row.currency)
                for amount in (row.held, max(row.balance, 0), row.under_way, max(-row.balance, 0))
            )
        )
        for row in rows
    ]


async def of_instructor(session: AsyncSession, instructor_id: UUID) -> list[Money]:
    """One amount per currency that the instructor has had entries in."""
    connection = await session.connection()
    rows = await connection.execute(text(_OF_INSTRUCTOR), {"instructor": instructor_id})
    return [Money(amount_minor=int(row.balance), currency=row.currency) for row in rows]


async def below_zero(session: AsyncSession, limit: int) -> list[tuple[UUID, str, Money]]:
    """Negative balances with their instructor's id and name, at most `limit`, largest debt first."""
    connection = await session.connection()
    rows = await connection.execute(text(_BELOW_ZERO), {"limit": limit})
    return [(row.instructor_id, row.name, Money(amount_minor=int(row.balance), currency=row.currency)) for row in rows]
