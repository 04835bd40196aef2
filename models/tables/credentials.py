"""What the API's door keeps: how people sign in, how they get in again, and the keys of their requests."""

import hashlib
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import Field, SQLModel

from models.domain.actors import SignUpRole
from models.tables.columns import enum_column


class Credential(SQLModel, table=True):
    """What a student or instructor signs in with. Its key makes an address one person's, whatever the role."""

    email: str = Field(primary_key=True)
    """In lower case."""
    person_id: UUID = Field(unique=True)
    role: SignUpRole = Field(sa_column=enum_column(SignUpRole))
    password_hash: str
    generation: int = 0
    """Each new password is the next. What was given under one, a bearer token or a token to reset it, ends with it."""
    created_at: datetime
    updated_at: datetime


class PasswordReset(SQLModel, table=True):
    """A token that sets a new password, once: with that, the generation it was made for is over."""

    __tablename__ = "password_reset"

    token_hash: str = Field(primary_key=True)
    """The token itself is in the mail alone."""
    person_id: UUID = Field(foreign_key="credential.person_id", index=True)
    generation: int
    expires_at: datetime


RESET_LASTS = timedelta(minutes=30)
"""From asking on."""


def token_hash(token: str) -> str:
    """One round will do: unlike a password, a token is too random to be guessed at."""
    return hashlib.sha256(token.encode()).hexdigest()


class IdempotencyKey(SQLModel, table=True):
    """A key that a student has sent with a request for a booking. It is kept as long as the student is."""

    __tablename__ = "idempotency_key"

    student_id: UUID = Field(primary_key=True, foreign_key="student.id")
    key: str = Field(primary_key=True, max_length=255)
    fingerprint: str
    """Of the request's body, so that another body under the same key is noticed."""
    in_flight_until: datetime | None = None
    """While a request with the key is being answered; past it, that request is taken for dead."""
    created_at: datetime
