"""What Stripe has sent to an instructor's bank, according to the ledger: each payout, down to its bookings."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path
from sqlalchemy import text
from sqlmodel.ext.asyncio.session import AsyncSession

from api.http import pagination
from api.http.auth import Caller
from api.http.database import Database
from api.http.pagination import Page
from api.http.problems import Kind, Problem
from models.domain.money import Money
from models.domain.states import PayoutStatus

PayoutId = Annotated[str, Path(pattern=r"^\w{1,100}$")]

# A payout has a transaction for each of its bookings. Debits of what is owed to the instructor are what was sent.
_ID = "split_part(subject, '/', 1)"
_SUMS = f"""
SELECT payout.*, share.expected_at, share.paid_at, share.has_arrived
FROM (
    SELECT {_ID} AS payout_id, currency, min(at) AS at, min(id::text)::uuid AS first_id,
           sum(amount_minor) FILTER (WHERE kind = 'paid_out') AS amount_minor,
           count(DISTINCT booking_id) AS bookings, bool_or(kind = 'payout_failed') AS has_failed
    FROM ledger_transaction JOIN ledger_entry ON transaction_id = id AND account = 'instructor_payable'
    WHERE instructor_id = :instructor AND kind IN ('paid_out', 'payout_failed') AND {_ID} = ANY(ARRAY({{payouts}}))
    GROUP BY 1, 2
    HAVING CAST(:at AS timestamptz) IS NULL OR (min(at), min(id::text)::uuid) < (:at, CAST(:id AS uuid))
    ORDER BY min(at) DESC, min(id::text)::uuid DESC
    LIMIT :limit
) AS payout
LEFT JOIN LATERAL (
    SELECT max(expected_at) AS expected_at, max(paid_at) AS paid_at, bool_or(status = 'PAID') AS has_arrived
    FROM instructor_payout WHERE stripe_payout_id = payout.payout_id
) AS share ON true
ORDER BY payout.at DESC, payout.first_id DESC
"""  # noqa: S608 - the parts are constants
# From the first transaction of one payout to that of the payout before, however many each has:
# ix_ledger_transaction_payout has their order, and ix_ledger_transaction_payout_id says which is the first.
_BEFORE = f"""
SELECT at, {_ID} AS payout_id,
       {{counted}} + CAST(at < coalesce(CAST(:at AS timestamptz), 'infinity') AS integer) AS counted
FROM ledger_transaction AS posted
WHERE instructor_id = :instructor AND kind = 'paid_out' AND {{position}} AND NOT EXISTS (
    SELECT FROM ledger_transaction AS earlier
    WHERE earlier.instructor_id = :instructor AND earlier.kind = 'paid_out' AND earlier.at < posted.at
      AND split_part(earlier.subject, '/', 1) = split_part(posted.subject, '/', 1)
)
ORDER BY at DESC, {_ID} DESC LIMIT 1
"""  # noqa: S608
_PAGE = _SUMS.format(
    payouts=f"""
        WITH RECURSIVE sent AS (
            ({_BEFORE.format(counted=0, position="at <= coalesce(CAST(:at AS timestamptz), 'infinity')")})
            UNION ALL
            SELECT before.* FROM sent, LATERAL (
                {_BEFORE.format(counted="sent.counted", position=f"(at, {_ID}) < (sent.at, sent.payout_id)")}
            ) AS before
            WHERE sent.counted < :limit
        )
        SELECT payout_id FROM sent
    """  # noqa: S608
)
_ONE = _SUMS.format(payouts="SELECT CAST(:payout AS text)")
_LINES = """
SELECT posted.booking_id, title, student.name AS student_name, starts_at, ends_at, entry.amount_minor, entry.currency
FROM ledger_transaction AS posted
JOIN ledger_entry AS entry ON entry.transaction_id = posted.id AND entry.account = 'instructor_payable'
LEFT JOIN booking_request AS booking ON booking.id = posted.booking_id
LEFT JOIN student ON student.id = booking.student_id
WHERE posted.instructor_id = :instructor AND posted.kind = 'paid_out' AND split_part(posted.subject, '/', 1) = :payout
ORDER BY starts_at, posted.booking_id
"""


@dataclass(frozen=True)
class BankPayout:
    id: str
    """Stripe's."""
    amount: Money
    """Below zero if Stripe has taken it from the bank, after refunds."""
    status: PayoutStatus | None
    """`None` if no share is known to be on its way in it, such as of what was only taken back."""
    at: datetime
    """When it left the balance."""
    expected_at: datetime | None
    paid_at: datetime | None
    bookings: int


@dataclass(frozen=True)
class PayoutLine:
    """What a payout contains of one booking. Negative for a refund of a share that an earlier payout contained."""

    booking_id: UUID | None
    """`None` for what belongs to no booking."""
    title: str | None
    student_name: str | None
    starts_at: datetime | None
    ends_at: datetime | None
    amount: Money


async def list_payouts(caller: Caller, page: Page, database: Database) -> tuple[list[BankPayout], str | None]:
    """The caller's, newest first, and the cursor of the next page."""
    after = page.after
    values = {"instructor": caller.id, "at": after and after.at, "id": after and after.id, "limit": page.limit + 1}
    async with database.reading() as session:
        rows = await _rows(session, _PAGE, values)
    cursor = pagination.next_cursor(rows, page.limit, lambda row: (row.at, row.first_id))
    return [_payout(row) for row in rows[: page.limit]], cursor


async def get_payout(payout_id: PayoutId, caller: Caller, database: Database) -> tuple[BankPayout, list[PayoutLine]]:
    """Raises the 404 `Problem`."""
    values = {"payout": payout_id, "instructor": caller.id}
    async with database.reading() as session:
        rows = await _rows(session, _ONE, values | {"at": None, "id": None, "limit": 1})
        if not rows:
            raise Problem(Kind.NOT_FOUND, "There is no such payout.")
        lines = await _rows(session, _LINES, values)
    return _payout(rows[0]), [_line(row) for row in lines]


async def _rows(session: AsyncSession, statement: str, values: dict[str, Any]) -> list[Any]:
    return list(await (await session.connection()).execute(text(statement), values))


def _payout(row: Any) -> BankPayout:
    status = {None: None, True: PayoutStatus.PAID, False: PayoutStatus.PROCESSING}[row.has_arrived]
    return BankPayout(
        id=row.payout_id,
        amount=Money(amount_minor=int(row.amount_minor or 0), currency=row.currency),
        status=PayoutStatus.FAILED if row.has_failed else status,
        at=row.at,
        expected_at=row.expected_at,
        paid_at=row.paid_at,
        bookings=row.bookings,
    )


def _line(row: Any) -> PayoutLine:
    amount = Money(amount_minor=row.amount_minor, currency=row.currency)
    return PayoutLine(row.booking_id, row.title, row.student_name, row.starts_at, row.ends_at, amount)
