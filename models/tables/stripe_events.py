"""Which Stripe events have been received, so that the reconciliation finds those that never arrived."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from models.domain.stripe_events import RoutingResult
from models.tables.columns import enum_column


class StripeEventRecord(SQLModel, table=True):
    """An event of a handled type, however it was delivered. Kept for longer than Stripe keeps its own."""

    __tablename__ = "stripe_event"
    __table_args__ = (
        Index("ix_stripe_event_at", "at"),
        Index(
            "ix_stripe_event_declined",
            "booking_id",
            "at",
            postgresql_where=text("type = 'payment_intent.payment_failed'"),
        ),
        Index("ix_stripe_event_closed", "at", postgresql_where=text("routing_result = 'closed'")),
    )

    id: str = Field(primary_key=True)
    """Stripe's id."""
    type: str
    booking_id: UUID | None = None
    routing_result: RoutingResult = Field(sa_column=enum_column(RoutingResult))
    at: datetime
