"""Reported no-shows."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Field, SQLModel

from models.domain.actors import AbsentParty, SignUpRole
from models.domain.no_shows import NoShowVerdict
from models.tables.columns import enum_column


class NoShowReport(SQLModel, table=True):
    """One side reports that the other did not come, and the other may contest it. At most one per booking."""

    __tablename__ = "no_show_report"

    booking_id: UUID = Field(primary_key=True, foreign_key="booking_request.id")
    absent: AbsentParty = Field(sa_column=enum_column(AbsentParty))
    reported_by: SignUpRole = Field(sa_column=enum_column(SignUpRole))
    reported_at: datetime
    contest_until: datetime
    contested_at: datetime | None = None
    verdict: NoShowVerdict | None = Field(default=None, sa_column=enum_column(NoShowVerdict, nullable=True))
    """What the meeting's record showed when it was last evaluated."""
