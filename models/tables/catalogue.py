"""Offerings and their slots."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

SEARCH_DOCUMENT = "search_document(title, description)"
"""What a text search matches: docs/decisions/0037-search-in-every-script.md."""


class Offering(SQLModel, table=True):
    """What an instructor sells. `cancellation` is a `CancellationPolicy` as JSON."""

    __table_args__ = (
        Index("ix_offering_created", "created_at", "id", postgresql_where=text("is_active")),
        Index("ix_offering_instructor_created", "instructor_id", "created_at", "id"),
        Index("ix_offering_currency_price", "currency", "price_minor"),
        Index("ix_offering_search", text(SEARCH_DOCUMENT), postgresql_using="gin"),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    instructor_id: UUID = Field(foreign_key="instructor.id")
    title: str
    description: str = ""
    duration_minutes: int
    buffer_before_minutes: int = 0
    """Time before and after a session in which its instructor cannot be booked either."""
    buffer_after_minutes: int = 0
    min_notice_minutes: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    """How long before its start a slot must be booked."""
    price_minor: int = Field(sa_type=BigInteger)
    currency: str = Field(max_length=3)
    cancellation: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    is_recorded: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    """Whether the instructor may record the session. Both sides are notified beforehand."""
    is_active: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    """False once the offering is withdrawn: existing bookings continue, new ones are refused."""
    created_at: datetime


class Slot(SQLModel, table=True):
    """A time that is offered. Whether it is free is derived from the bookings that overlap it, and not stored."""

    __table_args__ = (
        Index("ix_slot_starts", "starts_at", postgresql_where=text("withdrawn_at IS NULL")),
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
    """No longer offered since then. The row stays for the bookings that reference it."""
