"""The business metrics, computed by Postgres from the ledger and the audit trail."""

from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.business_metrics import BusinessFigures
from models.domain.money import Money


class Interval(StrEnum):
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


# Each CTE scans a range of one index: ix_audit_event_reserved_at, ix_ledger_transaction_at and
# ix_instructor_payout_paid_at. Bookings count in the period in which they were made, amounts in the period in which the
# money moved, payouts in the period in which they arrived. A charge that is held for its student counts once it is
# settled, and Stripe's fee for it when it was charged.
_FIGURES = """
WITH made AS (
    SELECT date_trunc(:interval, reserved.at, 'UTC') AS period, reserved.detail ->> 'currency' AS currency,
           count(*) AS bookings, count(captured.id) AS bookings_paid,
           count(*) FILTER (WHERE session.status <> 'SCHEDULED') AS sessions_ended,
           count(*) FILTER (WHERE session.status = 'COMPLETED') AS sessions_completed
    FROM audit_event AS reserved
    LEFT JOIN ledger_transaction AS captured
           ON captured.booking_id = reserved.booking_id AND captured.kind = 'captured'
    LEFT JOIN live_session AS session ON session.booking_id = reserved.booking_id
    WHERE reserved.action = 'booking.reserved' AND reserved.at >= :since AND reserved.at < :until
      AND (CAST(:instructor AS text) IS NULL OR reserved.detail ->> 'instructor_id' = :instructor)
    GROUP BY 1, 2
), moved AS (
    SELECT date_trunc(:interval, posted.at, 'UTC') AS period, entry.currency,
           count(*) FILTER (
               WHERE kind = 'captured' AND account IN ('stripe_balance', 'student_funds_held')
           ) AS payments,
           count(*) FILTER (WHERE kind = 'dispute_opened' AND account = 'disputes') AS disputes,
           sum(amount_minor) FILTER (
               WHERE kind = 'captured' AND account IN ('stripe_balance', 'student_funds_held')
           ) AS gross,
           -sum(amount_minor) FILTER (
               WHERE kind = 'refunded' AND account IN ('refunds', 'student_funds_held')
           ) AS refunded,
           -sum(amount_minor) FILTER (WHERE account = 'platform_revenue') AS revenue,
           sum(amount_minor) FILTER (WHERE account = 'stripe_fees') AS stripe_fees
    FROM ledger_transaction AS posted
    JOIN ledger_entry AS entry ON entry.transaction_id = posted.id
    WHERE posted.at >= :since AND posted.at < :until
      AND (CAST(:instructor AS text) IS NULL OR posted.instructor_id = CAST(:instructor AS uuid))
    GROUP BY 1, 2
), arrived AS (
    SELECT date_trunc(:interval, payout.paid_at, 'UTC') AS period, payout.currency,
           avg(payout.paid_at - captured.at) AS lag
    FROM instructor_payout AS payout
    JOIN ledger_transaction AS captured
      ON captured.booking_id = payout.booking_id AND captured.kind = 'captured'
    WHERE payout.paid_at >= :since AND payout.paid_at < :until
      AND (CAST(:instructor AS text) IS NULL OR payout.instructor_id = CAST(:instructor AS uuid))
    GROUP BY 1, 2
)
SELECT period, currency, bookings, bookings_paid, sessions_ended, sessions_completed, payments, disputes, gross,
       refunded, revenue, stripe_fees, lag
FROM made FULL JOIN moved USING (period, currency) FULL JOIN arrived USING (period, currency)
WHERE CAST(:currency AS text) IS NULL OR currency = :currency
ORDER BY period, currency
"""


async def business_figures(
    session: AsyncSession,
    since: datetime,
    until: datetime,
    interval: Interval,
    currency: str | None = None,
    instructor_id: UUID | None = None,
) -> list[BusinessFigures]:
    """One row per period and currency with any activity, oldest first. Periods begin in UTC."""
    connection = await session.connection()
    rows = await connection.execute(
        text(_FIGURES),
        {
            "interval": interval.value,
            "since": since,
            "until": until,
            "currency": currency,
            "instructor": str(instructor_id) if instructor_id else None,
        },
    )
    return [_figures(row._asdict()) for row in rows]


def _figures(row: dict[str, Any]) -> BusinessFigures:
    period: datetime = row["period"]
    lag: timedelta | None = row["lag"]
    counts = ("bookings", "bookings_paid", "sessions_ended", "sessions_completed", "payments", "disputes")

    def money(name: str) -> Money:
        return Money(amount_minor=int(row[name] or 0), currency=row["currency"])

    return BusinessFigures(
        period_starts_on=date(period.year, period.month, period.day),
        currency=row["currency"],
        gross_volume=money("gross"),
        refunded=money("refunded"),
        platform_revenue=money("revenue"),
        stripe_fees=money("stripe_fees"),
        payout_lag=lag,
        **{name: row[name] or 0 for name in counts},
    )
