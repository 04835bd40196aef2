"""The ledger's rows. Append-only, and every transaction sums to zero per currency: triggers enforce both."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, Identity, Index, text
from sqlmodel import Field, SQLModel

from models.domain.ledger import Account, PostingKind
from models.tables.columns import enum_column


class LedgerTransaction(SQLModel, table=True):
    """One movement of money. The id is derived from kind and subject, so that posting it twice stores it once."""

    __tablename__ = "ledger_transaction"
    __table_args__ = (
        Index("ix_ledger_transaction_booking_seq", "booking_id", "seq"),
        Index("ix_ledger_transaction_instructor_at", "instructor_id", "at"),
        Index("ix_ledger_transaction_at", "at"),
        Index("ix_ledger_transaction_seq", "seq"),
        Index(
            "ix_ledger_transaction_payout",
            "instructor_id",
            "at",
            text("split_part(subject, '/', 1)"),
            postgresql_where=text("kind IN ('paid_out', 'payout_failed')"),
        ),
        Index(
            "ix_ledger_transaction_payout_id",
            "instructor_id",
            text("split_part(subject, '/', 1)"),
            "at",
            postgresql_where=text("kind IN ('paid_out', 'payout_failed')"),
        ),
    )

    id: UUID = Field(primary_key=True)
    kind: PostingKind = Field(sa_column=enum_column(PostingKind))
    subject: str
    """A booking's id, or Stripe's id of a refund, dispute or payout."""
    booking_id: UUID | None = None
    """No foreign key: payments for a deleted booking request stay in the ledger."""
    instructor_id: UUID = Field(foreign_key="instructor.id")
    at: datetime
    seq: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), nullable=False))


class LedgerEntry(SQLModel, table=True):
    """One line of a transaction: a debit is positive, a credit negative."""

    __tablename__ = "ledger_entry"

    transaction_id: UUID = Field(primary_key=True, foreign_key="ledger_transaction.id")
    line: int = Field(primary_key=True)
    account: Account = Field(sa_column=enum_column(Account))
    currency: str = Field(max_length=3)
    amount_minor: int = Field(sa_type=BigInteger)


class InstructorBalance(SQLModel, table=True):
    """The sum of an instructor's entries of `connected_balance`. Only a trigger of the entries writes it."""

    __tablename__ = "instructor_balance"
    __table_args__ = (
        Index(
            "ix_instructor_balance_owed",
            "amount_minor",
            "instructor_id",
            postgresql_where=text("amount_minor < 0"),
        ),
    )

    instructor_id: UUID = Field(primary_key=True, foreign_key="instructor.id")
    currency: str = Field(primary_key=True, max_length=3)
    amount_minor: int = Field(sa_type=BigInteger)
