"""Payments and instructors' payouts."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, Index, text
from sqlmodel import Field, SQLModel

from models.domain.policy import PaymentPlan
from models.domain.states import PaymentStatus, PayoutStatus
from models.tables.columns import enum_column


class Payment(SQLModel, table=True):
    """What Stripe holds or took for a booking. It outlives a deleted booking request, hence no foreign key."""

    booking_id: UUID = Field(primary_key=True)
    plan: PaymentPlan = Field(sa_column=enum_column(PaymentPlan))
    status: PaymentStatus = Field(sa_column=enum_column(PaymentStatus))
    amount_minor: int = Field(sa_type=BigInteger)
    captured_minor: int = Field(default=0, sa_type=BigInteger)
    returned_minor: int = Field(default=0, sa_type=BigInteger)
    """What went back to the student, whether a hold was let go or a charge refunded."""
    platform_fee_minor: int = Field(default=0, sa_type=BigInteger)
    platform_loss_minor: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})
    """What went back out of the platform's own pocket: the instructor's share is captured - fee + loss."""
    currency: str = Field(max_length=3)
    payment_intent_id: str | None = Field(default=None, unique=True)
    charge_id: str | None = Field(default=None, unique=True)
    hold_ends_at: datetime | None = None
    decline_code: str | None = None
    created_at: datetime
    updated_at: datetime


class InstructorPayout(SQLModel, table=True):
    """An instructor's share of one booking on its way to the bank."""

    __tablename__ = "instructor_payout"
    __table_args__ = (
        Index("ix_instructor_payout_instructor_created", "instructor_id", "created_at", "id"),
        Index("ix_instructor_payout_created", "created_at", "id"),
        Index("ix_instructor_payout_failed", "created_at", "id", postgresql_where=text("status = 'FAILED'")),
        Index(
            "ix_instructor_payout_open",
            "instructor_id",
            postgresql_where=text("status IN ('PROCESSING', 'FAILED')"),
        ),
        Index("ix_instructor_payout_paid_at", "paid_at", postgresql_where=text("paid_at IS NOT NULL")),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    booking_id: UUID = Field(foreign_key="booking_request.id", unique=True)
    instructor_id: UUID = Field(foreign_key="instructor.id")
    status: PayoutStatus = Field(sa_column=enum_column(PayoutStatus))
    amount_minor: int = Field(sa_type=BigInteger)
    platform_fee_minor: int = Field(sa_type=BigInteger)
    currency: str = Field(max_length=3)
    stripe_payout_id: str | None = Field(default=None, index=True)
    """The latest; none while the share waits on the instructor's balance at Stripe."""
    failure_reason: str | None = None
    """Stripe's code; `models.domain.payouts.failure` has it in words."""
    expected_at: datetime | None = None
    paid_at: datetime | None = None
    """When it was known to be at the bank."""
    created_at: datetime
    updated_at: datetime
