"""Posts to the ledger, in the transaction of the change that is posted."""

from datetime import datetime

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.ids import ledger_id
from models.domain.ledger import Posting
from models.tables.ledger import LedgerEntry, LedgerTransaction


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
    statement = insert(LedgerTransaction).values(transactions).on_conflict_do_nothing()
    new = (await session.exec(statement.returning(col(LedgerTransaction.id)))).scalars().all()
    entries = [
        {
            "transaction_id": id,
            "line": line,
            "account": entry.account,
            "currency": entry.amount.currency,
            "amount_minor": entry.amount.amount_minor,
        }
        for id in new
        for line, entry in enumerate(by_id[id].entries, start=1)
    ]
    if entries:
        await session.exec(insert(LedgerEntry).values(entries))
