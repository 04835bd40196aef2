"""The records of mails to be sent."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.domain.notifications import NotificationKind, Recipient
from models.tables.columns import enum_column


class OutboxMessage(SQLModel, table=True):
    """A mail to one person, written in the transaction of what it tells of, and sent by whichever worker comes first.

    It is open until it is sent or given up. What it says is read from the records when it is sent; `facts` holds what
    they no longer tell then, without anything personal. It outlives a deleted booking request, hence no foreign key.
    """

    __tablename__ = "outbox_message"
    __table_args__ = (
        Index(
            "ix_outbox_message_open",
            "next_attempt_at",
            postgresql_where=text("sent_at IS NULL AND gave_up_at IS NULL"),
        ),
        Index("ix_outbox_message_booking_id", "booking_id"),
    )

    id: UUID = Field(primary_key=True)
    """From booking, kind, recipient and occasion, or from payout and kind; random for what is about an account."""
    booking_id: UUID | None = None
    """None for what is about a payout or an account."""
    kind: NotificationKind = Field(sa_column=enum_column(NotificationKind))
    recipient_role: Recipient = Field(sa_column=enum_column(Recipient))
    recipient_id: UUID
    facts: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    due_at: datetime
    attempts: int = 0
    next_attempt_at: datetime
    """While a worker sends it, when another may take it up."""
    sent_at: datetime | None = None
    gave_up_at: datetime | None = None
    last_error: str | None = None
    """A code, never what the mail server said: that names addresses."""
    created_at: datetime
