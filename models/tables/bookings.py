"""Bookings, live sessions, reschedule proposals and attendance. Amounts are integer minor units; times are UTC.

The migrations create the schema; queries are written against these classes.
"""

import secrets
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, Column, Index, Integer, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.domain.actors import SignUpRole
from models.domain.attendance import AttendanceKind, MeetingProvider
from models.domain.endings import EndReason
from models.domain.money import Money
from models.domain.policy import BookingPolicy, PaymentPlan
from models.domain.proposals import ProposalStatus
from models.domain.states import BookingStatus, SessionStatus
from models.domain.terms import BookingTerms
from models.tables.columns import enum_column


class BookingRequest(SQLModel, table=True):
    """A student's booking of a slot. Title, price, split and policy are copied when the booking is made.

    While its status is one of `states.HOLDS_SLOT`, an exclusion constraint keeps any other booking of the same
    instructor from overlapping it, including the buffers of both. A row whose payment was never secured is deleted; its
    audit rows stay.
    """

    __tablename__ = "booking_request"
    __table_args__ = (
        Index("ix_booking_request_student_created", "student_id", "created_at", "id"),
        Index(
            "ix_booking_request_student_open",
            "student_id",
            "next_deadline_at",
            postgresql_where=text("status IN ('PENDING', 'ACCEPTED')"),
        ),
        Index("ix_booking_request_instructor_created", "instructor_id", "created_at", "id"),
        Index(
            "ix_booking_request_instructor_open",
            *("instructor_id", "created_at", "id"),
            postgresql_where=text("status IN ('PENDING', 'ACCEPTED')"),
        ),
        Index("ix_booking_request_created", "created_at", "id"),
        Index("ix_booking_request_status_created", "status", "created_at", "id"),
        Index("ix_booking_request_starts", "starts_at"),
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
    status: BookingStatus = Field(sa_column=enum_column(BookingStatus))
    plan: PaymentPlan = Field(sa_column=enum_column(PaymentPlan))
    stripe_account_id: str = Field(index=True)
    """The instructor's account when it was booked. The instructor may have another one since."""
    price_minor: int = Field(sa_type=BigInteger)
    platform_fee_minor: int = Field(sa_type=BigInteger)
    currency: str = Field(max_length=3)
    policy: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    is_recorded: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    checkout_session_id: str | None = Field(default=None, unique=True)
    checkout_url: str | None = None
    next_deadline_at: datetime | None = None
    """The deadline of whatever the booking waits for; `None` once it is closed."""
    end_reason: EndReason | None = Field(default=None, sa_column=enum_column(EndReason, nullable=True))
    rejection_reason: str | None = None
    """Free text from the instructor; shown only when the status is `REJECTED`."""
    needs_attention: bool = False
    attention_reason: str | None = None
    attention_since: datetime | None = None
    created_at: datetime
    updated_at: datetime

    def call_attention(self, reason: str, at: datetime) -> None:
        """Another reason is the same wait for an operator."""
        self.attention_since = self.attention_since or at
        self.needs_attention, self.attention_reason, self.updated_at = True, reason, at

    def end_attention(self, at: datetime) -> None:
        self.needs_attention, self.attention_reason, self.attention_since, self.updated_at = False, None, None, at

    @property
    def terms(self) -> BookingTerms:
        """The terms that the row was made from."""
        return BookingTerms(
            booking_id=self.id,
            student_id=self.student_id,
            instructor_id=self.instructor_id,
            offering_id=self.offering_id,
            slot_id=self.slot_id,
            starts_at=self.starts_at,
            ends_at=self.ends_at,
            price=Money(amount_minor=self.price_minor, currency=self.currency),
            policy=BookingPolicy.model_validate(self.policy),
            plan=self.plan,
            stripe_account_id=self.stripe_account_id,
            buffer_before_minutes=self.buffer_before_minutes,
            buffer_after_minutes=self.buffer_after_minutes,
            is_recorded=self.is_recorded,
        )


class RescheduleProposal(SQLModel, table=True):
    """A proposal to move the session to another slot of the same offering. At most one per booking is open."""

    __tablename__ = "reschedule_proposal"
    __table_args__ = (
        Index("uq_reschedule_proposal_open", "booking_id", unique=True, postgresql_where=text("status = 'OPEN'")),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    booking_id: UUID = Field(foreign_key="booking_request.id", ondelete="CASCADE", index=True)
    slot_id: UUID = Field(foreign_key="slot.id")
    starts_at: datetime
    ends_at: datetime
    proposed_by: SignUpRole = Field(sa_column=enum_column(SignUpRole))
    status: ProposalStatus = Field(sa_column=enum_column(ProposalStatus))
    created_at: datetime
    decided_at: datetime | None = None


def new_room() -> str:
    """Random, in lower case: Jitsi ignores case, and reports room names in lower case."""
    return secrets.token_hex(24)


class LiveSession(SQLModel, table=True):
    """The session itself, created on approval. Its payment status is that of the booking's `Payment`."""

    __tablename__ = "live_session"

    booking_id: UUID = Field(primary_key=True, foreign_key="booking_request.id")
    id: UUID = Field(default_factory=uuid4, unique=True)
    status: SessionStatus = Field(sa_column=enum_column(SessionStatus))
    room: str = Field(default_factory=new_room, unique=True)
    """A booking's id does not reveal its room. It changes when links to it must lead nowhere any more."""
    calendar_sequence: int = Field(default=0, sa_column=Column(Integer, nullable=False, server_default=text("0")))
    """Incremented by each change that calendars must pick up (RFC 5545, 3.8.7.4)."""
    total_price_minor: int = Field(sa_type=BigInteger)
    platform_fee_minor: int = Field(sa_type=BigInteger)
    instructor_payout_minor: int = Field(sa_type=BigInteger)
    currency: str = Field(max_length=3)
    created_at: datetime
    updated_at: datetime


class FormerRoom(SQLModel, table=True):
    """A room that a session had. Reports about it count for the session until the session is moved."""

    __tablename__ = "former_room"

    room: str = Field(primary_key=True)
    booking_id: UUID = Field(foreign_key="live_session.booking_id", index=True)


class AttendanceEvent(SQLModel, table=True):
    """A report of the meeting provider. Append-only: a trigger rejects all other changes."""

    __tablename__ = "attendance_event"
    __table_args__ = (Index("ix_attendance_event_booking_at", "booking_id", "at"),)

    id: str = Field(primary_key=True)
    """The report's idempotency key: a report that arrives twice is stored once."""
    booking_id: UUID = Field(foreign_key="booking_request.id")
    kind: AttendanceKind = Field(sa_column=enum_column(AttendanceKind))
    role: SignUpRole | None = Field(default=None, sa_column=enum_column(SignUpRole, nullable=True))
    """Who joined or left; `None` for a recording."""
    connection: str | None = None
    """The provider's id of one connection. A person with two open tabs has two."""
    at: datetime
    source: MeetingProvider = Field(sa_column=enum_column(MeetingProvider))
