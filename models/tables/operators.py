"""Operators: the platform's own people."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlmodel import Field, SQLModel


class Operator(SQLModel, table=True):
    """An operator of this installation. Only the tables' owner can add or change a row, so the API cannot."""

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str = Field(unique=True)
    """Who it is, for readers of the audit trail, which has the id."""
    created_at: datetime
    revoked_at: datetime | None = None
    """From then on, no token of this operator is valid."""
