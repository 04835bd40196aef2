"""Posts to the ledger, in the transaction of the change that is posted."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.fee_tax import fee_in, with_tax
from models.domain.ids import ledger_id
from models.domain.ledger import Account, Posting
from models.domain.money import Money
from models.domain.policy import BookingPolicy
from models.tables.bookings import BookingRequest
from models.tables.columns import table_of
from models.tables.ledger import LedgerEntry, LedgerTransaction

_TRANSACTIONS = table_of(LedgerTransaction)
_INSERT_TRANSACTIONS = insert(_TRANSACTIONS).on_conflict_do_nothing().returning(_TRANSACTIONS.c.id)
_INSERT_ENTRIES = insert(table_of(LedgerEntry))


async def post(session: AsyncSession, at: datetime, *postings: Posting) -> None:
    """Insert the postings. Idempotent: a posting of the same kind and subject as an earlier one is skipped."""
    by_id = {ledger_id(posting.kind, posting.subject): posting for posting in postings}
    if not by_id:
        return
    transactions = [
        {
            "id": id,
            "kind": posting.kind,
            "subject": posting.subject,
            "booking_id": posting.booking_id,
            "instructor_id": posting.instructor_id,
            "at": at,
        }
        for id, posting in by_id.items()
    ]
    new = (await session.exec(_INSERT_TRANSACTIONS, params=transactions)).scalars().all()
    posted = await _with_tax(session, [posting for id, posting in by_id.items() if id in new])
    entries = [
        {
            "transaction_id": ledger_id(posting.kind, posting.subject),
            "line": line,
            "account": entry.account,
            "currency": entry.amount.currency,
            "amount_minor": entry.amount.amount_minor,
        }
        for posting in posted
        for line, entry in enumerate(posting.entries, start=1)
    ]
    if entries:
        await session.exec(_INSERT_ENTRIES, params=entries)


async def _with_tax(session: AsyncSession, postings: list[Posting]) -> list[Posting]:
    """Divide the platform's fees in new postings into revenue and tax, by the policy frozen on their booking."""
    divided, fees = [], dict[UUID, Money]()
    for posting in postings:
        fee, id = fee_in(posting), posting.booking_id
        if fee is not None and id is not None and (policy := await _taxing_policy(session, id)):
            if id not in fees:
                fees[id] = await _fee(session, id, fee.currency)
            posting = with_tax(posting, fee, fees[id], policy)
            fees[id] += fee
        divided.append(posting)
    return divided


async def _taxing_policy(session: AsyncSession, booking_id: UUID) -> BookingPolicy | None:
    """The booking's policy, if there is tax in the platform's fee."""
    query = select(BookingRequest.policy).where(col(BookingRequest.id) == booking_id)
    row = (await session.exec(query)).first()
    policy = BookingPolicy.model_validate(row) if row else None
    return policy if policy and policy.fee_tax_bps else None


async def _fee(session: AsyncSession, booking_id: UUID, currency: str) -> Money:
    """What the platform has of the booking according to the ledger, with the tax in it."""
    query = (
        select(func.coalesce(-func.sum(LedgerEntry.amount_minor), 0))
        .join(LedgerTransaction, col(LedgerTransaction.id) == col(LedgerEntry.transaction_id))
        .where(
            col(LedgerTransaction.booking_id) == booking_id,
            col(LedgerEntry.account).in_((Account.PLATFORM_REVENUE, Account.TAX_PAYABLE)),
        )
    )
    return Money(amount_minor=int((await session.exec(query)).one()), currency=currency)


async def owed_to_student(session: AsyncSession, booking_id: UUID, currency: str) -> Money:
    """What a booking's student is owed back and Stripe has not sent."""
    query = (
        select(func.coalesce(-func.sum(LedgerEntry.amount_minor), 0))
        .join(LedgerTransaction, col(LedgerTransaction.id) == col(LedgerEntry.transaction_id))
        .where(col(LedgerTransaction.booking_id) == booking_id, col(LedgerEntry.account) == Account.REFUNDS)
    )
    return Money(amount_minor=int((await session.exec(query)).one()), currency=currency)
