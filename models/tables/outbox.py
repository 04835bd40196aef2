"""Mails to be sent."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models import traces
from models.domain.notifications import NotificationKind, Recipient
from models.tables.columns import enum_column


class OutboxMessage(SQLModel, table=True):
    """A mail to one person or to the operators, written in the transaction of what it reports, and sent by any worker.

    It is open until it is sent or given up. The text is rendered from the records when the mail is sent; `facts` holds
    what they no longer contain by then, and nothing personal. No foreign key: it outlives a deleted booking request.
    """

    __tablename__ = "outbox_message"
    __table_args__ = (
        Index(
            "ix_outbox_message_open",
            "next_attempt_at",
            postgresql_where=text("sent_at IS NULL AND gave_up_at IS NULL"),
        ),
        Index("ix_outbox_message_due", "due_at", postgresql_where=text("sent_at IS NULL AND gave_up_at IS NULL")),
        Index("ix_outbox_message_digest", "created_at", postgresql_where=text("kind = 'operator_digest'")),
        Index("ix_outbox_message_booking_id", "booking_id"),
    )

    id: UUID = Field(primary_key=True)
    """Derived from booking, kind, recipient and occasion, or from payout and kind; random if about an account."""
    booking_id: UUID | None = None
    """`None` for mails about a payout or an account, and for those to the operators."""
    kind: NotificationKind = Field(sa_column=enum_column(NotificationKind))
    recipient_role: Recipient | None = Field(default=None, sa_column=enum_column(Recipient, nullable=True))
    """`None` with the id for mails to the operators, whose address is a setting."""
    recipient_id: UUID | None = None
    facts: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    due_at: datetime
    attempts: int = 0
    next_attempt_at: datetime
    """While a worker is sending the mail: when another worker may take over."""
    sent_at: datetime | None = None
    gave_up_at: datetime | None = None
    last_error: str | None = None
    """A code, never the mail server's message, which contains addresses."""
    created_at: datetime
    traceparent: str | None = Field(default_factory=traces.traceparent)
    """The span that queued it, so that sending it belongs to the same trace."""
