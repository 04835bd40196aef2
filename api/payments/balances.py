"""Instructors' Stripe balances, according to the ledger."""

from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.money import Money

_OF_INSTRUCTOR = """
SELECT entry.currency, sum(entry.amount_minor) AS balance
FROM ledger_transaction AS transaction
JOIN ledger_entry AS entry ON entry.transaction_id = transaction.id
WHERE transaction.instructor_id = :instructor AND entry.account = 'connected_balance'
GROUP BY entry.currency
ORDER BY entry.currency
"""
# Only instructors with a reversed or adjusted transfer can have a negative balance: ix_ledger_transaction_clawback.
_BELOW_ZERO = """
SELECT clawed_back.instructor_id, instructor.name, entry.currency, sum(entry.amount_minor) AS balance
FROM (
    SELECT DISTINCT instructor_id FROM ledger_transaction WHERE kind IN ('transfer_reversed', 'adjusted')
) AS clawed_back
JOIN ledger_transaction AS transaction ON transaction.instructor_id = clawed_back.instructor_id
JOIN ledger_entry AS entry ON entry.transaction_id = transaction.id AND entry.account = 'connected_balance'
JOIN instructor ON instructor.id = clawed_back.instructor_id
GROUP BY clawed_back.instructor_id, instructor.name, entry.currency
HAVING sum(entry.amount_minor) < 0
ORDER BY balance, clawed_back.instructor_id
LIMIT :limit
"""


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
