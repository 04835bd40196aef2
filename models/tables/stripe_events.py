"""Which of Stripe's events have been taken, so that the reconciliation finds those that never came."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from models.domain.stripe_events import Reception
from models.tables.columns import word


class TakenEvent(SQLModel, table=True):
    """An event of a type that is taken, whichever way it came. Kept for longer than Stripe keeps its own."""

    __tablename__ = "taken_event"
    __table_args__ = (
        Index("ix_taken_event_at", "at"),
        Index("ix_taken_event_closed", "at", postgresql_where=text("reception = 'closed'")),
    )

    id: str = Field(primary_key=True)
    """Stripe's."""
    type: str
    booking_id: UUID | None = None
    reception: Reception = Field(sa_column=word(Reception))
    at: datetime
