"""Payments and instructors' payouts."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ARRAY, BigInteger, Column, Index, String, text
from sqlmodel import Field, SQLModel

from models.domain.conversions import Conversion
from models.domain.money import Money
from models.domain.policy import PaymentPlan
from models.domain.renewals import RenewalReason
from models.domain.states import PaymentStatus, PayoutStatus
from models.tables.columns import enum_column


class Payment(SQLModel, table=True):
    """What Stripe holds or captured for a booking. No foreign key: it outlives a deleted booking request."""

    __table_args__ = (Index("ix_payment_hold_ends", "hold_ends_at", postgresql_where=text("status = 'PENDING'")),)

    booking_id: UUID = Field(primary_key=True)
    plan: PaymentPlan = Field(sa_column=enum_column(PaymentPlan))
    status: PaymentStatus = Field(sa_column=enum_column(PaymentStatus))
    amount_minor: int = Field(sa_type=BigInteger)
    captured_minor: int = Field(default=0, sa_type=BigInteger)
    returned_minor: int = Field(default=0, sa_type=BigInteger)
    """What was returned to the student, as a released hold or as a refund."""
    platform_fee_minor: int = Field(default=0, sa_type=BigInteger)
    platform_loss_minor: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")})
    """What the platform refunded beyond its fee: the instructor's share is captured - fee + loss."""
    currency: str = Field(max_length=3)
    payment_intent_id: str | None = Field(default=None, unique=True)
    charge_id: str | None = Field(default=None, unique=True)
    ending_refund_ids: list[str] = Field(
        default_factory=list, sa_column=Column(ARRAY(String), nullable=False, server_default=text("'{}'"))
    )
    """Stripe's ids of the refunds that the booking's ending has recorded, whoever made them."""
    ending_fee_returned_minor: int = Field(
        default=0, sa_type=BigInteger, sa_column_kwargs={"server_default": text("0")}
    )
    """What had gone back of the application fee at Stripe by then. Later refunds count on top of it."""
    converted_minor: int | None = Field(default=None, sa_type=BigInteger)
    """What was charged, if the platform settled it in another currency and the share is transferred in that one."""
    settled_minor: int | None = Field(default=None, sa_type=BigInteger)
    """What it has become there."""
    settled_currency: str | None = Field(default=None, max_length=3)
    hold_ends_at: datetime | None = None
    lapsed_at: datetime | None = None
    """When it was noticed that the hold had ended before the booking was settled."""
    decline_code: str | None = None
    created_at: datetime
    updated_at: datetime

    @property
    def conversion(self) -> Conversion | None:
        if self.converted_minor is None or self.settled_minor is None or self.settled_currency is None:
            return None
        return Conversion(
            charged=Money(amount_minor=self.converted_minor, currency=self.currency),
            settled=Money(amount_minor=self.settled_minor, currency=self.settled_currency),
        )


class PaymentRenewal(SQLModel, table=True):
    """A payment that its student is asked to make again. One row for each booking: of the latest Checkout page."""

    __tablename__ = "payment_renewal"
    __table_args__ = (Index("ix_payment_renewal_open", "booking_id", postgresql_where=text("closed_at IS NULL")),)

    booking_id: UUID = Field(foreign_key="booking_request.id", primary_key=True)
    reason: RenewalReason = Field(sa_column=enum_column(RenewalReason))
    amount_minor: int = Field(sa_type=BigInteger)
    currency: str = Field(max_length=3)
    pay_by: datetime
    is_final: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """What the booking's end keeps is due, not the price of a session that is still to come."""
    page: int
    """Which Checkout page it is. Stripe closes each within a day."""
    checkout_session_id: str | None = None
    checkout_url: str | None = None
    """Where anyone can pay: only its student sees it."""
    requested_at: datetime
    closed_at: datetime | None = None
    """When the student had paid again, or no longer had to."""


class InstructorPayout(SQLModel, table=True):
    """An instructor's share of one booking on its way to their bank."""

    __tablename__ = "instructor_payout"
    __table_args__ = (
        Index("ix_instructor_payout_instructor_created", "instructor_id", "created_at", "id"),
        Index("ix_instructor_payout_created", "created_at", "id"),
        Index(
            "ix_instructor_payout_instructor_unpaid",
            *("instructor_id", "status", "created_at", "id"),
            postgresql_where=text("status <> 'PAID'"),
        ),
        Index("ix_instructor_payout_unpaid", "status", "created_at", "id", postgresql_where=text("status <> 'PAID'")),
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
    """The latest payout; `None` while the share is still in the instructor's balance at Stripe."""
    failure_reason: str | None = None
    """Stripe's `failure_code`; `models.domain.payouts.failure` explains it."""
    expected_at: datetime | None = None
    paid_at: datetime | None = None
    """When the payout was known to have arrived at the bank."""
    created_at: datetime
    updated_at: datetime
