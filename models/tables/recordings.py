"""Links to recordings of sessions."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Field, SQLModel


class Recording(SQLModel, table=True):
    """Stored only if the booking said that the session may be recorded, and deleted once the link has expired."""

    id: str = Field(primary_key=True)
    """The idempotency key of the provider's report."""
    booking_id: UUID = Field(foreign_key="booking_request.id", index=True)
    url: str = Field(repr=False)
    """The provider's link. Anyone who has it can watch the recording."""
    uploaded_at: datetime
    expires_at: datetime = Field(index=True)
