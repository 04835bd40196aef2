"""What only the API's door keeps: how people sign in, and the keys of their requests."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Field, SQLModel

from models.columns import word
from models.terms import SignUpRole


class Credential(SQLModel, table=True):
    """What a student or instructor signs in with. Its key makes an address one person's, whatever the role."""

    email: str = Field(primary_key=True)
    """In lower case."""
    person_id: UUID = Field(unique=True)
    role: SignUpRole = Field(sa_column=word(SignUpRole))
    password_hash: str
    created_at: datetime
    updated_at: datetime


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
