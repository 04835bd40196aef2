"""A booking's ledger: its transactions in order, and the resulting account balances."""

from collections import Counter
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from sqlmodel import col, select

from api.bookings import queries
from api.http.auth import AsOperator
from api.http.database import WithDatabase
from api.http.problems import Kind, Problem, problem_responses
from api.http.schema_types import ResponseModel
from models.domain.ledger import STORY, Account, PostingKind
from models.domain.money import Money
from models.tables.ledger import LedgerEntry, LedgerTransaction

router = APIRouter(prefix="/v1/operator/bookings/{booking_id}", tags=["operator"])


class LedgerLine(ResponseModel):
    account: Account
    """The ledger account."""
    amount: Money
    """A debit is positive, a credit negative."""


class LedgerStep(ResponseModel):
    kind: PostingKind
    """What kind it is."""
    what: str
    """Describes `kind` in a sentence."""
    subject: str
    """The id of what the transaction is about: the booking, or a refund, dispute or payout (Stripe's id or ours)."""
    at: datetime
    """When it was posted."""
    lines: list[LedgerLine]
    """They sum to zero."""


class BookingLedger(ResponseModel):
    booking_id: UUID
    """The booking."""
    data: list[LedgerStep]
    """Earliest first."""
    balances: list[LedgerLine]
    """Accounts with a nonzero balance of this booking."""


@router.get(
    "/ledger",
    operation_id="getBookingLedger",
    responses=problem_responses(
        Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.NOT_FOUND, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE
    ),
)
async def get_booking_ledger(booking_id: UUID, operator: AsOperator, database: WithDatabase) -> BookingLedger:
    """All ledger transactions of a booking. Those of a deleted booking request remain."""
    query = (
        select(LedgerTransaction, LedgerEntry)
        .join(LedgerEntry, col(LedgerEntry.transaction_id) == col(LedgerTransaction.id))
        .where(col(LedgerTransaction.booking_id) == booking_id)
        .order_by(col(LedgerTransaction.seq), col(LedgerEntry.line))
    )
    async with database.reading() as session:
        rows = (await session.exec(query)).all()
        if not rows and await queries.booking_by_id(session, booking_id) is None:
            raise Problem(Kind.NOT_FOUND, "There is no such booking.")
    steps: dict[UUID, LedgerStep] = {}
    balances: Counter[tuple[Account, str]] = Counter()
    for transaction, entry in rows:
        step = steps.setdefault(
            transaction.id,
            LedgerStep(
                kind=transaction.kind,
                what=STORY[transaction.kind],
                subject=transaction.subject,
                at=transaction.at,
                lines=[],
            ),
        )
        step.lines.append(_line(entry.account, entry.amount_minor, entry.currency))
        balances[entry.account, entry.currency] += entry.amount_minor
    return BookingLedger(
        booking_id=booking_id,
        data=list(steps.values()),
        balances=[_line(account, amount, currency) for (account, currency), amount in balances.items() if amount],
    )


def _line(account: Account, amount_minor: int, currency: str) -> LedgerLine:
    return LedgerLine(account=account, amount=Money(amount_minor=amount_minor, currency=currency))
