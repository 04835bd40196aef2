"""Service tokens, and what was booked with them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Column, Index, String
from sqlmodel import Field, SQLModel

from models.domain.actors import Role
from models.tables.columns import enum_column


class ServiceToken(SQLModel, table=True):
    """A token with which a program acts for a person, within scopes and until a time. Only its hash is stored."""

    __tablename__ = "service_token"
    __table_args__ = (Index("ix_service_token_person", "person_id", "created_at", "id"),)

    id: UUID = Field(primary_key=True)
    token_hash: str = Field(unique=True)
    person_id: UUID
    """Whom it acts for: a student, an instructor or an operator."""
    role: Role = Field(sa_column=enum_column(Role))
    name: str
    scopes: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    spend_limit_minor: int | None = Field(default=None, sa_type=BigInteger)
    spend_limit_currency: str | None = Field(default=None, max_length=3)
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


class ServiceTokenBooking(SQLModel, table=True):
    """A booking that was requested with a service token. No foreign key to it: it is written before the booking."""

    __tablename__ = "service_token_booking"
    __table_args__ = (Index("ix_service_token_booking_token_id", "token_id"),)

    booking_id: UUID = Field(primary_key=True)
    token_id: UUID = Field(foreign_key="service_token.id")
    price_minor: int = Field(sa_type=BigInteger)
    currency: str = Field(max_length=3)
    created_at: datetime
