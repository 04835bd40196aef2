"""Refunds after a booking has ended."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from models.domain.policy import LossBearer
from models.domain.states import RefundStatus
from models.tables.columns import enum_column


class Refund(SQLModel, table=True):
    """A full or partial refund of a captured payment: ordered here, or made in Stripe's dashboard.

    Per booking, at most one of the refunds ordered here is being requested from Stripe at any time.
    """

    __table_args__ = (
        Index("ix_refund_booking_created", "booking_id", "created_at"),
        Index("uq_refund_reserved", "booking_id", unique=True, postgresql_where=text("status = 'RESERVED'")),
    )

    id: UUID = Field(primary_key=True)
    booking_id: UUID = Field(foreign_key="booking_request.id")
    status: RefundStatus = Field(sa_column=enum_column(RefundStatus))
    amount_minor: int = Field(sa_type=BigInteger)
    currency: str = Field(max_length=3)
    borne_by: LossBearer = Field(sa_column=enum_column(LossBearer))
    reason: str | None = None
    """Free text from the operator, shown to both sides."""
    ordered_by: UUID | None = None
    """`None` for one made in Stripe's dashboard, which does not say by whom, or on a warning of the card's bank."""
    fraud_warning_id: str | None = Field(default=None, unique=True)
    """Stripe's id of the early fraud warning that the policy answers with this refund."""
    tries: int = 0
    """How often the refund has been requested from Stripe."""
    stripe_refund_id: str | None = Field(default=None, unique=True)
    """Of the latest attempt."""
    instructor_minor: int = Field(default=0, sa_type=BigInteger)
    """How the amount is split between those who bear it. All three are 0 until Stripe has made the refund."""
    platform_fee_minor: int = Field(default=0, sa_type=BigInteger)
    platform_loss_minor: int = Field(default=0, sa_type=BigInteger)
    pending_reason: str | None = None
    """Stripe's code for what a pending refund waits for."""
    failure_reason: str | None = None
    """Why there is no refund, as a sentence, or Stripe's code for why the bank returned it."""
    created_at: datetime
    updated_at: datetime
