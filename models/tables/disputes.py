"""Disputes, and how a student accepted the policy of a booking that they may dispute."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from models.domain.states import DisputeStatus
from models.tables.columns import enum_column


class Dispute(SQLModel, table=True):
    """A cardholder's bank claims a charge back. Stripe has the full record; this copy serves lists and the ledger."""

    __table_args__ = (
        Index("ix_dispute_created", "created_at", "booking_id"),
        Index("ix_dispute_open", "created_at", "booking_id", postgresql_where=text("closed_at IS NULL")),
    )

    id: str = Field(primary_key=True)
    """Stripe's id."""
    booking_id: UUID = Field(foreign_key="booking_request.id", index=True)
    status: DisputeStatus = Field(sa_column=enum_column(DisputeStatus))
    is_inquiry: bool
    reason: str
    """Stripe's code for what the cardholder claims."""
    amount_minor: int = Field(sa_type=BigInteger)
    currency: str = Field(max_length=3)
    respond_by: datetime | None = None
    taken_over_at: datetime | None = None
    """When an operator took over the response. Nothing is sent automatically after that."""
    answered_at: datetime | None = None
    closed_at: datetime | None = None
    created_at: datetime
    updated_at: datetime


class PolicyAcceptance(SQLModel, table=True):
    """Where a student accepted price and policy from. Dispute evidence, hence personal data kept for a purpose."""

    __tablename__ = "policy_acceptance"

    booking_id: UUID = Field(primary_key=True)
    ip_address: str
    user_agent: str = ""
    at: datetime
