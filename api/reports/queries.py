"""The ledger queries of statements and reports. Postgres computes the sums, each over a range of one index."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.money import Money
from models.domain.month_close import AccountMonth, CurrencyMonth, PostingTotals
from models.domain.statements import Earnings, MonthlyEarnings
from models.domain.tax_reporting import Payee
from models.tables.people import Instructor

# Postings are defined in models/domain/postings.py. Payouts, paid or failed, only move earnings, and so do conversions.
# A charge that is held for its student is earned once it is settled: then it leaves `student_funds_held`. What goes
# back before is no refund.
_EARNINGS = """
    count(amount_minor) FILTER (
        WHERE kind = 'captured' AND account IN ('stripe_balance', 'student_funds_held')
    ) AS transactions,
    sum(amount_minor) FILTER (
        WHERE kind = 'captured' AND account IN ('stripe_balance', 'student_funds_held')
    ) AS gross,
    -sum(amount_minor) FILTER (
        WHERE (kind = 'refunded' AND account IN ('refunds', 'student_funds_held'))
           OR (kind = 'dispute_lost' AND account IN ('disputes', 'refunds', 'student_funds_held'))
           OR (kind = 'adjusted' AND account IN ('stripe_balance', 'connected_balance', 'refunds'))
    ) AS refunds,
    sum(amount_minor) FILTER (WHERE account = 'platform_losses') AS borne_by_platform,
    -sum(amount_minor) FILTER (WHERE account IN ('platform_revenue', 'tax_payable')) AS fees,
    -sum(amount_minor) FILTER (WHERE account = 'tax_payable') AS fee_tax,
    -sum(amount_minor) FILTER (
        WHERE account = 'instructor_payable' AND kind NOT IN ('paid_out', 'payout_failed', 'exchanged')
    ) AS net,
    -sum(amount_minor) FILTER (WHERE account = 'instructor_payable' AND kind = 'exchanged') AS exchanged,
    sum(amount_minor) FILTER (
        WHERE account = 'instructor_payable' AND kind IN ('paid_out', 'payout_failed')
    ) AS paid_out
"""
_EARNED_BY = f"""
SELECT width_bucket(at, CAST(:starts AS timestamptz[])) AS month, currency, {_EARNINGS}
FROM ledger_transaction JOIN ledger_entry ON transaction_id = id
WHERE instructor_id = :instructor AND at < :until
GROUP BY month, currency
"""  # noqa: S608 - the parts are constants
_EARNED_BY_ALL = f"""
SELECT instructor_id, width_bucket(at, CAST(:starts AS timestamptz[])) AS month, currency, {_EARNINGS}
FROM ledger_transaction JOIN ledger_entry ON transaction_id = id
WHERE at >= :since AND at < :until AND kind IN ('captured', 'refunded', 'dispute_lost', 'adjusted')
GROUP BY instructor_id, month, currency
HAVING bool_or(account IN ('instructor_payable', 'platform_revenue', 'platform_losses'))
ORDER BY instructor_id
"""  # noqa: S608
# One statement, so that its parts are consistent even for the current month.
_MONTH = f"""
SELECT currency, account, kind,
       sum(ever_minor) - coalesce(sum(amount_minor), 0) AS opening,
       sum(amount_minor) FILTER (WHERE amount_minor > 0) AS debits,
       -sum(amount_minor) FILTER (WHERE amount_minor < 0) AS credits,
       sum(ever_minor) AS closing,
       count(DISTINCT id) FILTER (WHERE amount_minor IS NOT NULL) AS ledger_transactions,
       sum(amount_minor) FILTER (WHERE account = 'stripe_fees') AS stripe_fees, {_EARNINGS}
FROM (
    SELECT id, kind, account, currency, amount_minor AS ever_minor,
           CASE WHEN at >= :since THEN amount_minor END AS amount_minor
    FROM ledger_transaction JOIN ledger_entry ON transaction_id = id
    WHERE at < :until
) AS line
GROUP BY GROUPING SETS ((currency), (currency, account), (currency, kind))
ORDER BY currency, account, kind
"""  # noqa: S608

Row = dict[str, Any]


async def earned_by(session: AsyncSession, instructor_id: UUID, starts: list[datetime]) -> list[MonthlyEarnings]:
    """One instructor's earnings by month; month 0 is everything before the year. `starts` is from `month_starts`."""
    values = {"starts": starts, "until": starts[-1], "instructor": instructor_id}
    return [
        MonthlyEarnings(instructor_id, row["month"], _earnings(row)) for row in await _rows(session, _EARNED_BY, values)
    ]


async def earned_by_all(session: AsyncSession, starts: list[datetime]) -> list[MonthlyEarnings]:
    """All instructors' earnings by month of the year, without payouts. `starts` is from `month_starts`."""
    values = {"starts": starts, "since": starts[0], "until": starts[-1]}
    return [
        MonthlyEarnings(row["instructor_id"], row["month"], _earnings(row))
        for row in await _rows(session, _EARNED_BY_ALL, values)
    ]


async def payees(session: AsyncSession, earned: Sequence[MonthlyEarnings]) -> dict[UUID, Payee]:
    ids = {each.instructor_id for each in earned}
    found = await session.exec(select(Instructor).where(col(Instructor.id).in_(ids)))
    return {row.id: Payee(id=row.id, name=row.name, stripe_account_id=row.stripe_account_id) for row in found.all()}


async def monthly_report(session: AsyncSession, since: datetime, until: datetime) -> tuple[CurrencyMonth, ...]:
    """One entry per currency in the ledger, even without transactions in the month."""
    by_currency: dict[str, list[Row]] = {}
    for row in await _rows(session, _MONTH, {"since": since, "until": until}):
        by_currency.setdefault(row["currency"], []).append(row)
    return tuple(_month(currency, rows) for currency, rows in by_currency.items())


async def _rows(session: AsyncSession, statement: str, values: Row) -> list[Row]:
    connection = await session.connection()
    return [row._asdict() for row in await connection.execute(text(statement), values)]


def _month(currency: str, rows: list[Row]) -> CurrencyMonth:
    (total,) = (row for row in rows if row["account"] is None and row["kind"] is None)
    earnings, stripe_fees = _earnings(total), _money(total, "stripe_fees")
    return CurrencyMonth(
        currency=currency,
        earnings=earnings,
        stripe_fees=stripe_fees,
        result=earnings.fees - earnings.fee_tax - earnings.borne_by_platform - stripe_fees,
        accounts=tuple(
            AccountMonth(
                account=row["account"],
                **{name: _money(row, name) for name in ("opening", "debits", "credits", "closing")},
            )
            for row in rows
            if row["account"] is not None
        ),
        kinds=tuple(
            PostingTotals(kind=row["kind"], transactions=row["ledger_transactions"], turnover=_money(row, "debits"))
            for row in rows
            if row["kind"] is not None and row["ledger_transactions"]
        ),
    )


def _earnings(row: Row) -> Earnings:
    names = (name for name in Earnings.model_fields if name != "transactions")
    return Earnings(transactions=row["transactions"], **{name: _money(row, name) for name in names})


def _money(row: Row, name: str) -> Money:
    """Postgres returns `NULL` for a sum over no rows, and `numeric` for a sum of `bigint`."""
    return Money(amount_minor=int(row[name] or 0), currency=row["currency"])
