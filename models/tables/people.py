"""Students and instructors. A person who is both has a row in each table, with the same id."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.domain.actors import Capability
from models.tables.columns import enum_column

NAME_TEXT = "search_document({table}.name, '')"
"""What a search for people matches, beside their ids and addresses."""


def _search_indexes(table: str) -> tuple[Index, ...]:
    return (
        Index(f"ix_{table}_created", "created_at", "id"),
        Index(f"ix_{table}_email_prefix", "email", postgresql_ops={"email": "text_pattern_ops"}),
        Index(f"ix_{table}_name", text("search_document(name, '')"), postgresql_using="gin"),
    )


class Student(SQLModel, table=True):
    __table_args__ = _search_indexes("student")

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    email: str = Field(unique=True)
    name: str
    time_zone: str = "UTC"
    language: str = Field(default="en", sa_column_kwargs={"server_default": text("'en'")})
    """A BCP 47 tag."""
    email_verified_at: datetime | None = None
    """When the student showed that they read mail to `email`, or an identity provider said so."""
    stripe_customer_id: str | None = Field(default=None, unique=True)
    created_at: datetime
    closed_at: datetime | None = None
    """When the account was closed. Name and address are gone since then."""
    suspended_at: datetime | None = None
    """An operator has suspended the person, who cannot use the API."""


class Instructor(SQLModel, table=True):
    __table_args__ = (
        Index(
            "ix_instructor_reconciled",
            text("reconciled_at NULLS FIRST"),
            postgresql_where=text("stripe_account_id IS NOT NULL"),
        ),
        Index("ix_instructor_account_checked", "account_checked_at"),
        Index("ix_instructor_suspended", "id", postgresql_where=text("suspended_at IS NOT NULL")),
        *_search_indexes("instructor"),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    email: str = Field(unique=True)
    name: str
    time_zone: str = "UTC"
    language: str = Field(default="en", sa_column_kwargs={"server_default": text("'en'")})
    """A BCP 47 tag."""
    stripe_account_id: str | None = Field(default=None, unique=True)
    transfers: Capability | None = Field(default=None, sa_column=enum_column(Capability, nullable=True))
    """Stripe's `transfers` capability when last checked. Without it, the instructor cannot be paid."""
    requirements: list[str] = Field(
        default_factory=list, sa_column=Column(JSONB, nullable=False, server_default=text("'[]'::jsonb"))
    )
    """What Stripe still requires of the instructor, as Stripe names it."""
    disabled_reason: str | None = None
    """Stripe's code for why the account is disabled."""
    account_checked_at: datetime | None = None
    events_until: datetime | None = None
    """The account's Stripe events have been read up to this time, by Stripe's clock."""
    reconciled_at: datetime | None = None
    onboarding_url: str | None = None
    """The latest Stripe onboarding link. Anyone who has it can use it as the instructor, once, until it expires."""
    onboarding_url_expires_at: datetime | None = None
    created_at: datetime
    closed_at: datetime | None = None
    """When the account was closed. Name and address are gone since then."""
    suspended_at: datetime | None = None
    """As a student's. Their offerings are neither listed nor booked."""

    @property
    def can_be_paid(self) -> bool:
        return self.stripe_account_id is not None and self.transfers is Capability.ACTIVE
