"""Instructors' balances at Stripe, as the ledger has them."""

from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.money import Money

_OF_INSTRUCTOR = """
SELECT entry.currency, sum(entry.amount_minor) AS balance
FROM ledger_transaction AS happened
JOIN ledger_entry AS entry ON entry.transaction_id = happened.id
WHERE happened.instructor_id = :instructor AND entry.account = 'connected_balance'
GROUP BY entry.currency
ORDER BY entry.currency
"""
# Only who has ever been asked for money back can owe some: ix_ledger_transaction_clawback has them.
_BELOW_ZERO = """
SELECT asked.instructor_id, entry.currency, sum(entry.amount_minor) AS balance
FROM (SELECT DISTINCT instructor_id FROM ledger_transaction WHERE kind = 'transfer_reversed') AS asked
JOIN ledger_transaction AS happened ON happened.instructor_id = asked.instructor_id
JOIN ledger_entry AS entry ON entry.transaction_id = happened.id AND entry.account = 'connected_balance'
GROUP BY asked.instructor_id, entry.currency
HAVING sum(entry.amount_minor) < 0
ORDER BY balance, asked.instructor_id
LIMIT 1000
"""


async def of_instructor(session: AsyncSession, instructor_id: UUID) -> list[Money]:
    """In each currency in which there ever was one."""
    connection = await session.connection()
    found = await connection.execute(text(_OF_INSTRUCTOR), {"instructor": instructor_id})
    return [Money(amount_minor=int(row.balance), currency=row.currency) for row in found]


async def below_zero(session: AsyncSession) -> list[tuple[UUID, Money]]:
    """The deepest first."""
    connection = await session.connection()
    found = await connection.execute(text(_BELOW_ZERO))
    return [(row.instructor_id, Money(amount_minor=int(row.balance), currency=row.currency)) for row in found]
