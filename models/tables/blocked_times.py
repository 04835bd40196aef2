"""The times that an instructor's own calendar has taken. Nothing else of that calendar is stored."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from models.domain.blocked_times import CalendarProblem
from models.tables.columns import enum_column


class InstructorCalendar(SQLModel, table=True):
    """Where the calendar is, and how reading it went."""

    __tablename__ = "instructor_calendar"
    __table_args__ = (Index("ix_instructor_calendar_read_next", "read_next_at"),)

    instructor_id: UUID = Field(primary_key=True, foreign_key="instructor.id")
    url: str
    """Whoever has it can read the calendar, so no log and no answer has it."""
    read_next_at: datetime
    read_at: datetime | None = None
    """When it was last read, and what the blocked times are from."""
    problem: CalendarProblem | None = Field(default=None, sa_column=enum_column(CalendarProblem, nullable=True))
    """Why the last attempt failed."""
    digest: str | None = None
    """Of what the blocked times were worked out from."""
    worked_out_at: datetime | None = None
    created_at: datetime


class BlockedTime(SQLModel, table=True):
    """A time in which the instructor is busy. Those of one instructor neither overlap nor touch."""

    __tablename__ = "blocked_time"

    instructor_id: UUID = Field(primary_key=True, foreign_key="instructor_calendar.instructor_id", ondelete="CASCADE")
    ends_at: datetime = Field(primary_key=True)
    """In the key, which so finds the first that ends after a slot begins."""
    starts_at: datetime
