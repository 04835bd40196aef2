"""The ledger, asked for statements and reports. Postgres does the sums, over one range of an index each."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.money import Money
from models.domain.month_close import AccountOfMonth, KindOfMonth, MonthOfCurrency
from models.domain.statements import Earned, Earnings
from models.domain.tax_reporting import Payee
from models.tables.people import Instructor

# Each posting is defined in models/domain/postings.py. A payout, paid or returned, moves earnings; all others earn.
_EARNINGS = """
    count(amount_minor) FILTER (WHERE kind = 'captured' AND account = 'stripe_balance') AS transactions,
    sum(amount_minor) FILTER (WHERE kind = 'captured' AND account = 'stripe_balance') AS gross,
    -sum(amount_minor) FILTER (
        WHERE (kind = 'refunded' AND account = 'refunds')
           OR (kind = 'dispute_lost' AND account IN ('disputes', 'refunds'))
    ) AS refunds,
    sum(amount_minor) FILTER (WHERE account = 'platform_losses') AS borne_by_platform,
    -sum(amount_minor) FILTER (WHERE account = 'platform_revenue') AS fees,
    -sum(amount_minor) FILTER (
        WHERE account = 'instructor_payable' AND kind NOT IN ('paid_out', 'payout_failed')
    ) AS net,
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
WHERE at >= :since AND at < :until AND kind IN ('captured', 'refunded', 'dispute_lost')
GROUP BY instructor_id, month, currency
ORDER BY instructor_id
"""  # noqa: S608
# One statement, so that its parts agree also in a month that still goes on.
_BOOKS = f"""
SELECT currency, account, kind,
       sum(ever_minor) - coalesce(sum(amount_minor), 0) AS opening,
       sum(amount_minor) FILTER (WHERE amount_minor > 0) AS debits,
       -sum(amount_minor) FILTER (WHERE amount_minor < 0) AS credits,
       sum(ever_minor) AS closing,
       count(DISTINCT id) FILTER (WHERE amount_minor IS NOT NULL) AS happened,
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


async def earned_by(session: AsyncSession, instructor_id: UUID, starts: list[datetime]) -> list[Earned]:
    """One instructor's, by month of the year, and in month 0 what was before it. `starts`: `month_starts`."""
    values = {"starts": starts, "until": starts[-1], "instructor": instructor_id}
    return [Earned(instructor_id, row["month"], _earnings(row)) for row in await _rows(session, _EARNED_BY, values)]


async def earned_by_all(session: AsyncSession, starts: list[datetime]) -> list[Earned]:
    """Everybody's, by month of the year, without what was paid out."""
    values = {"starts": starts, "since": starts[0], "until": starts[-1]}
    return [
        Earned(row["instructor_id"], row["month"], _earnings(row))
        for row in await _rows(session, _EARNED_BY_ALL, values)
    ]


async def payees(session: AsyncSession, earned: Sequence[Earned]) -> dict[UUID, Payee]:
    wanted = {each.instructor_id for each in earned}
    found = await session.exec(select(Instructor).where(col(Instructor.id).in_(wanted)))
    return {row.id: Payee(id=row.id, name=row.name, stripe_account_id=row.stripe_account_id) for row in found.all()}


async def month_of_books(session: AsyncSession, since: datetime, until: datetime) -> tuple[MonthOfCurrency, ...]:
    """Of every currency in the ledger, also one in which nothing has happened in the month."""
    by_currency: dict[str, list[Row]] = {}
    for row in await _rows(session, _BOOKS, {"since": since, "until": until}):
        by_currency.setdefault(row["currency"], []).append(row)
    return tuple(_month(currency, rows) for currency, rows in by_currency.items())


async def _rows(session: AsyncSession, statement: str, values: Row) -> list[Row]:
    connection = await session.connection()
    return [row._asdict() for row in await connection.execute(text(statement), values)]


def _month(currency: str, rows: list[Row]) -> MonthOfCurrency:
    (whole,) = (row for row in rows if row["account"] is None and row["kind"] is None)
    earnings, stripe_fees = _earnings(whole), _money(whole, "stripe_fees")
    return MonthOfCurrency(
        currency=currency,
        earnings=earnings,
        stripe_fees=stripe_fees,
        result=earnings.fees - earnings.borne_by_platform - stripe_fees,
        accounts=tuple(
            AccountOfMonth(
                account=row["account"],
                **{name: _money(row, name) for name in ("opening", "debits", "credits", "closing")},
            )
            for row in rows
            if row["account"] is not None
        ),
        kinds=tuple(
            KindOfMonth(kind=row["kind"], transactions=row["happened"], turnover=_money(row, "debits"))
            for row in rows
            if row["kind"] is not None and row["happened"]
        ),
    )


def _earnings(row: Row) -> Earnings:
    names = (name for name in Earnings.model_fields if name != "transactions")
    return Earnings(transactions=row["transactions"], **{name: _money(row, name) for name in names})


def _money(row: Row, name: str) -> Money:
    """Postgres has `NULL` for a sum of nothing, and a `numeric` for one of many."""
    return Money(amount_minor=int(row[name] or 0), currency=row["currency"])
