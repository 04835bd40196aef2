"""The records of refunds after a booking's end."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from models.domain.policy import LossBearer
from models.domain.states import RefundStatus
from models.tables.columns import enum_column


class Refund(SQLModel, table=True):
    """A part of a captured payment goes back to the student: an operator has ordered it, or made it at Stripe.

    Of those ordered here, one at a time is asked of Stripe.
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
    """The operator's words, for both sides to read."""
    ordered_by: UUID | None = None
    """None for one made in Stripe's dashboard, which does not say by whom."""
    tries: int = 0
    """How often Stripe has been asked to make it."""
    stripe_refund_id: str | None = Field(default=None, unique=True)
    """Of the latest try."""
    instructor_minor: int = Field(default=0, sa_type=BigInteger)
    """Who bore it; all three are 0 until Stripe has made it."""
    platform_fee_minor: int = Field(default=0, sa_type=BigInteger)
    platform_loss_minor: int = Field(default=0, sa_type=BigInteger)
    failure_reason: str | None = None
    """Why there is none, as a sentence, or Stripe's word for why the bank sent it back."""
    created_at: datetime
    updated_at: datetime
