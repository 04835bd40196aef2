"""The records: what Holdfast remembers in Postgres. Amounts are integer minor units; times are UTC.

The schema itself comes from the migrations; these classes are what queries are written against.
"""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, Column, Identity, Index, Integer, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.domain.attendance import AttendanceKind, MeetingProvider
from models.domain.policy import PaymentPlan
from models.domain.proposals import ProposalStatus
from models.domain.states import BookingStatus, PaymentStatus, PayoutStatus, SessionStatus
from models.domain.terms import Capability, EndReason, Role, SignUpRole, Subject
from models.tables.columns import word


class Student(SQLModel, table=True):
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    email: str = Field(unique=True)
    name: str
    time_zone: str = "UTC"
    stripe_customer_id: str | None = Field(default=None, unique=True)
    created_at: datetime


class Instructor(SQLModel, table=True):
    __table_args__ = (
        Index(
            "ix_instructor_reconciled",
            text("reconciled_at NULLS FIRST"),
            postgresql_where=text("stripe_account_id IS NOT NULL"),
        ),
        Index("ix_instructor_account_checked", "account_checked_at"),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    email: str = Field(unique=True)
    name: str
    time_zone: str = "UTC"
    stripe_account_id: str | None = Field(default=None, unique=True)
    transfers: Capability | None = Field(default=None, sa_column=word(Capability, nullable=True))
    """Stripe's `transfers` capability, as it was last looked up; without it, the instructor cannot be paid."""
    requirements: list[str] = Field(
        default_factory=list, sa_column=Column(JSONB, nullable=False, server_default=text("'[]'::jsonb"))
    )
    """What Stripe asks of the instructor, in Stripe's words."""
    disabled_reason: str | None = None
    """Why Stripe has stopped the account, in Stripe's words."""
    account_checked_at: datetime | None = None
    events_until: datetime | None = None
    """Up to when the account's events at Stripe have been read, by Stripe's clock."""
    reconciled_at: datetime | None = None
    onboarding_url: str | None = None
    """The latest link to Stripe's onboarding. Whoever has it is let in as the instructor, once, until it expires."""
    onboarding_url_expires_at: datetime | None = None
    created_at: datetime

    @property
    def can_be_paid(self) -> bool:
        return self.stripe_account_id is not None and self.transfers is Capability.ACTIVE


OFFERING_TEXT = "to_tsvector('simple', (title || ' ') || description)"
"""What a text search looks at, with the brackets that Postgres shows, so that Alembic can compare."""


class Offering(SQLModel, table=True):
    """What an instructor sells. `cancellation` is a `CancellationPolicy`."""

    __table_args__ = (
        Index("ix_offering_created", "created_at", "id", postgresql_where=text("is_active")),
        Index("ix_offering_instructor_created", "instructor_id", "created_at", "id"),
        Index("ix_offering_currency_price", "currency", "price_minor"),
        Index("ix_offering_search", text(OFFERING_TEXT), postgresql_using="gin"),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    instructor_id: UUID = Field(foreign_key="instructor.id")
    title: str
    description: str = ""
    duration_minutes: int
    buffer_before_minutes: int = 0
    """Before and after a session, in which its instructor cannot be booked either."""
    buffer_after_minutes: int = 0
    price_minor: int = Field(sa_type=BigInteger)
    currency: str = Field(max_length=3)
    cancellation: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    is_recorded: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """Whether the instructor may record the session. Both sides are told before."""
    is_active: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    """A withdrawn one is not: its bookings go on, and there are no new ones."""
    created_at: datetime


class Slot(SQLModel, table=True):
    """A time that is offered. Whether it is free follows from the bookings that overlap it: nothing to keep in step."""

    __table_args__ = (
        Index(
            "uq_slot_offering_starts",
            "offering_id",
            "starts_at",
            unique=True,
            postgresql_where=text("withdrawn_at IS NULL"),
        ),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    offering_id: UUID = Field(foreign_key="offering.id")
    instructor_id: UUID = Field(foreign_key="instructor.id", index=True)
    starts_at: datetime
    ends_at: datetime
    withdrawn_at: datetime | None = None
    """Not offered since then. The row stays, for the bookings that it had."""


class BookingRequest(SQLModel, table=True):
    """A student's claim on a slot. Title, price, split and policy are those of the moment it was made.

    While its status is one of `states.HOLDS_SLOT`, an exclusion constraint keeps any other booking of the same
    instructor from overlapping it, the buffers of both counted. A row whose payment was never secured is deleted; its
    audit rows stay.
    """

    __tablename__ = "booking_request"
    __table_args__ = (
        Index("ix_booking_request_student_created", "student_id", "created_at", "id"),
        Index("ix_booking_request_instructor_created", "instructor_id", "created_at", "id"),
        Index("ix_booking_request_created", "created_at", "id"),
        Index(
            "ix_booking_request_open_deadline",
            "next_deadline_at",
            postgresql_where=text("status IN ('PENDING', 'ACCEPTED')"),
        ),
        Index("ix_booking_request_needs_attention", "created_at", "id", postgresql_where=text("needs_attention")),
    )

    id: UUID = Field(primary_key=True)
    student_id: UUID = Field(foreign_key="student.id")
    instructor_id: UUID = Field(foreign_key="instructor.id")
    offering_id: UUID = Field(foreign_key="offering.id")
    slot_id: UUID = Field(foreign_key="slot.id", index=True)
    title: str
    starts_at: datetime
    ends_at: datetime
    buffer_before_minutes: int = 0
    buffer_after_minutes: int = 0
    status: BookingStatus = Field(sa_column=word(BookingStatus))
    plan: PaymentPlan = Field(sa_column=word(PaymentPlan))
    price_minor: int = Field(sa_type=BigInteger)
    platform_fee_minor: int = Field(sa_type=BigInteger)
    currency: str = Field(max_length=3)
    policy: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    is_recorded: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    checkout_session_id: str | None = Field(default=None, unique=True)
    checkout_url: str | None = None
    next_deadline_at: datetime | None = None
    """What the booking waits for ends then; none once it is closed."""
    end_reason: EndReason | None = Field(default=None, sa_column=word(EndReason, nullable=True))
    rejection_reason: str | None = None
    """The instructor's words; shown only when the status is `REJECTED`."""
    needs_attention: bool = False
    attention_reason: str | None = None
    created_at: datetime
    updated_at: datetime


class RescheduleProposal(SQLModel, table=True):
    """One side's wish to hold the session at another slot of the same offering. At most one is open per booking."""

    __tablename__ = "reschedule_proposal"
    __table_args__ = (
        Index("uq_reschedule_proposal_open", "booking_id", unique=True, postgresql_where=text("status = 'OPEN'")),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    booking_id: UUID = Field(foreign_key="booking_request.id", ondelete="CASCADE", index=True)
    slot_id: UUID = Field(foreign_key="slot.id")
    starts_at: datetime
    ends_at: datetime
    proposed_by: SignUpRole = Field(sa_column=word(SignUpRole))
    status: ProposalStatus = Field(sa_column=word(ProposalStatus))
    created_at: datetime
    decided_at: datetime | None = None


class LiveSession(SQLModel, table=True):
    """The session itself; there from approval on. Its payment status is its booking's payment's."""

    __tablename__ = "live_session"

    booking_id: UUID = Field(primary_key=True, foreign_key="booking_request.id")
    status: SessionStatus = Field(sa_column=word(SessionStatus))
    room: str = Field(unique=True)
    """Random, in lower case: who knows a booking's id does not know its room."""
    calendar_sequence: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default=text("0")))
    """Raised by each change that calendars have to learn of (RFC 5545, 3.8.7.4)."""
    total_price_minor: int = Field(sa_type=BigInteger)
    platform_fee_minor: int = Field(sa_type=BigInteger)
    instructor_payout_minor: int = Field(sa_type=BigInteger)
    currency: str = Field(max_length=3)
    created_at: datetime
    updated_at: datetime


class Payment(SQLModel, table=True):
    """What Stripe holds or took for a booking. It outlives a deleted booking request, hence no foreign key."""

    booking_id: UUID = Field(primary_key=True)
    plan: PaymentPlan = Field(sa_column=word(PaymentPlan))
    status: PaymentStatus = Field(sa_column=word(PaymentStatus))
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
    status: PayoutStatus = Field(sa_column=word(PayoutStatus))
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


class AttendanceEvent(SQLModel, table=True):
    """What the meeting's provider reported. Append only: the database refuses anything else.

    A recording itself is not kept, nor where it is: the provider's link lets in whoever has it.
    """

    __tablename__ = "attendance_event"
    __table_args__ = (Index("ix_attendance_event_booking_at", "booking_id", "at"),)

    id: str = Field(primary_key=True)
    """The report's idempotency key: one that comes twice is there once."""
    booking_id: UUID = Field(foreign_key="booking_request.id")
    kind: AttendanceKind = Field(sa_column=word(AttendanceKind))
    role: SignUpRole | None = Field(default=None, sa_column=word(SignUpRole, nullable=True))
    """Who joined or left; none for a recording."""
    connection: str | None = None
    """The provider's name for one connection: a person has two of them in two tabs."""
    at: datetime
    source: MeetingProvider = Field(sa_column=word(MeetingProvider))


class AuditEvent(SQLModel, table=True):
    """Who did what to what, when, through which door. Append only: the database refuses anything else.

    An event is about a booking, then it has a `booking_id`; or about another `subject`, then it has a `subject_id`.
    `action` is `<subject>.<past participle>`; `detail` holds ids, codes and amounts. A deleted booking request is
    known by its `booking.deleted` row alone.
    """

    __tablename__ = "audit_event"
    __table_args__ = (
        Index("ix_audit_event_booking_at", "booking_id", "at"),
        Index("ix_audit_event_booking_seq", "booking_id", "seq"),
        Index("ix_audit_event_reserved_at", "at", postgresql_where=text("action = 'booking.reserved'")),
        Index("ix_audit_event_subject_seq", "subject_id", "seq", postgresql_where=text("subject_id IS NOT NULL")),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    subject: Subject = Field(default=Subject.BOOKING, sa_column=word(Subject, server_default=Subject.BOOKING))
    booking_id: UUID | None = None
    subject_id: UUID | None = None
    action: str
    actor_role: Role = Field(sa_column=word(Role))
    actor_id: UUID | None = None
    door: str
    detail: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    at: datetime
    seq: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), nullable=False))
    """Numbered by the database: a booking's events in the order in which they came to be."""
