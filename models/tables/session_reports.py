"""What one side reported of the session."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Field, SQLModel

from models.domain.actors import AbsentParty, SignUpRole
from models.domain.session_reports import Verdict
from models.tables.columns import enum_column


class SessionReport(SQLModel, table=True):
    """The instructor reports that the session took place, or one side that the other did not come.

    The other side may object or contest. At most one report per booking.
    """

    __tablename__ = "session_report"

    booking_id: UUID = Field(primary_key=True, foreign_key="booking_request.id")
    absent: AbsentParty | None = Field(default=None, sa_column=enum_column(AbsentParty, nullable=True))
    """`None`: the session took place."""
    reported_by: SignUpRole = Field(sa_column=enum_column(SignUpRole))
    reported_at: datetime
    answer_until: datetime
    answered_at: datetime | None = None
    objection_reason: str | None = None
    """Free text of the student's. Saved before the objection is accepted, so valid only with `answered_at`."""
    verdict: Verdict | None = Field(default=None, sa_column=enum_column(Verdict, nullable=True))
    """What the meeting's record showed when it was last judged."""
