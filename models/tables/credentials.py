"""Sign-in credentials, password resets, and idempotency keys."""

import hashlib
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import Field, SQLModel

from models.domain.actors import SignUpRole
from models.tables.columns import enum_column


class Credential(SQLModel, table=True):
    """What a person signs in with. The primary key allows one person per address.

    A closed account keeps its row, without address and password, so that its old tokens stay invalid.
    """

    email: str = Field(primary_key=True)
    """Lower case."""
    person_id: UUID = Field(unique=True)
    role: SignUpRole = Field(sa_column=enum_column(SignUpRole))
    """The role of a token that is requested without one: the one signed up for."""
    password_hash: str
    generation: int = 0
    """Incremented with each new password, sign-out and closure: it invalidates all bearer and reset tokens issued
    before."""
    created_at: datetime
    updated_at: datetime


class PasswordReset(SQLModel, table=True):
    """A single-use token for setting a new password. Using it ends the generation that it was issued for."""

    __tablename__ = "password_reset"

    token_hash: str = Field(primary_key=True)
    """The token itself is only in the mail."""
    person_id: UUID = Field(foreign_key="credential.person_id", index=True)
    generation: int
    expires_at: datetime


RESET_LASTS = timedelta(minutes=30)
"""Counted from the request."""


class AddressVerification(SQLModel, table=True):
    """A single-use token that shows that a student reads mail to their address."""

    __tablename__ = "address_verification"

    token_hash: str = Field(primary_key=True)
    """The token itself is only in the mail."""
    student_id: UUID = Field(foreign_key="student.id", index=True)
    expires_at: datetime


VERIFICATION_LASTS = timedelta(days=1)
"""Counted from the request."""


def token_hash(token: str) -> str:
    """SHA-256, in hex. One round is enough: unlike a password, a token is too random to be guessed."""
    return hashlib.sha256(token.encode()).hexdigest()


class IdempotencyKey(SQLModel, table=True):
    """That a request with an `Idempotency-Key` and a body was made: a booking request, or a decision. Kept for good."""

    __tablename__ = "idempotency_key"

    id: UUID = Field(primary_key=True)
    """The booking's id, or the decision's: both are derived from caller and key."""
    fingerprint: str
    """Fingerprint of the request body, to detect the same key with another body."""
    created_at: datetime
