"""Reconciliation runs and the drifts that they found."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.domain.actors import Role
from models.domain.reconciliation import Book, DriftKind
from models.tables.columns import enum_column


class Reconciliation(SQLModel, table=True):
    """One run: what it compared, what it repaired, and where the next run starts reading."""

    __table_args__ = (
        Index("ix_reconciliation_started", "started_at", "id"),
        Index("ix_reconciliation_finished", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
    )

    id: UUID = Field(primary_key=True)
    """Temporal's run id."""
    by_role: Role = Field(sa_column=enum_column(Role))
    by_id: UUID | None = None
    started_at: datetime
    finished_at: datetime | None = None
    accounts_read: int = 0
    events_read: int = 0
    events_redelivered: int = 0
    workflows_checked: int = 0
    workflows_failed: int = 0
    holds_released: int = 0
    balance_transactions_read: int = 0
    transactions_read: int = 0
    bookings_compared: int = 0
    balances_compared: int = 0
    fees_booked: int = 0
    drifts: int = 0
    """Found in this run, including those found before."""
    drifts_omitted: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    """Differences beyond `MOST_DIFFERENCES`, which were counted only."""
    totals: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSONB, nullable=False))
    """One `Total` per book and currency."""
    events_until: datetime | None = None
    """By Stripe's clock."""
    ledger_seq: int = Field(default=0, sa_type=BigInteger)


class Drift(SQLModel, table=True):
    """A difference that persisted. The id is derived from what differs, so that a repeated finding updates the row."""

    __table_args__ = (
        Index("ix_drift_found", "found_at", "id"),
        Index("ix_drift_open", "found_at", "id", postgresql_where=text("resolved_at IS NULL")),
    )

    id: UUID = Field(primary_key=True)
    kind: DriftKind = Field(sa_column=enum_column(DriftKind))
    booking_id: UUID | None = None
    instructor_id: UUID | None = None
    book: Book = Field(sa_column=enum_column(Book))
    currency: str = Field(max_length=3)
    ledger_minor: int = Field(sa_type=BigInteger)
    stripe_minor: int = Field(sa_type=BigInteger)
    detail: str = ""
    reconciliation_id: UUID = Field(foreign_key="reconciliation.id", index=True)
    """The last run that saw it."""
    found_at: datetime
    seen_at: datetime
    resolved_at: datetime | None = None
    adjusted_at: datetime | None = None
    """When an operator had the ledger corrected, which resolved it."""
