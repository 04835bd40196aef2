"""The audit trail."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, Column, Identity, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from models.domain.actors import Actor, Role, Subject
from models.domain.ids import audit_id
from models.domain.messages import Channel
from models.tables.columns import enum_column


class AuditEvent(SQLModel, table=True):
    """Who did what to which record, when and through which channel. Append-only: a trigger rejects all other changes.

    An event about a booking has a `booking_id`; an event about any other `subject` has a `subject_id`. `action` is
    `<subject>.<past participle>`; `detail` holds ids, codes and amounts. Only the `booking.deleted` row shows that a
    booking request was deleted.
    """

    __tablename__ = "audit_event"
    __table_args__ = (
        Index("ix_audit_event_booking_seq", "booking_id", "seq"),
        Index("ix_audit_event_reserved_at", "at", postgresql_where=text("action = 'booking.reserved'")),
        Index(
            "ix_audit_event_reserved_actor",
            "actor_id",
            "at",
            postgresql_where=text("action = 'booking.reserved'"),
        ),
        Index(
            "ix_audit_event_student",
            text("(detail ->> 'student_id')"),
            "at",
            postgresql_where=text("(detail ->> 'student_id') IS NOT NULL"),
        ),
        Index("ix_audit_event_subject_seq", "subject_id", "seq", postgresql_where=text("subject_id IS NOT NULL")),
    )

    id: UUID = Field(default_factory=uuid4, primary_key=True)
    subject: Subject = Field(default=Subject.BOOKING, sa_column=enum_column(Subject, server_default=Subject.BOOKING))
    booking_id: UUID | None = None
    subject_id: UUID | None = None
    action: str
    actor_role: Role = Field(sa_column=enum_column(Role))
    actor_id: UUID | None = None
    token_id: UUID | None = None
    """The service token with which a program acted for the actor."""
    channel: str
    detail: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSONB, nullable=False))
    at: datetime
    seq: int | None = Field(default=None, sa_column=Column(BigInteger, Identity(), nullable=False))
    """Assigned by the database; orders a booking's events by insertion."""


def event_about(
    subject: Subject,
    id: UUID,
    action: str,
    actor: Actor,
    channel: Channel,
    at: datetime,
    detail: dict[str, Any] | None = None,
    occasion: str = "",
) -> AuditEvent:
    """An event whose id is derived from its subject, `action` and `occasion`, so that a retry stores it once.

    `detail` holds ids, codes and amounts only.
    """
    is_booking = subject is Subject.BOOKING
    return AuditEvent(
        id=audit_id(id, f"{action}@{occasion}" if occasion else action),
        subject=subject,
        booking_id=id if is_booking else None,
        subject_id=None if is_booking else id,
        action=action,
        actor_role=actor.role,
        actor_id=actor.id,
        token_id=actor.token_id,
        channel=channel,
        detail=detail or {},
        at=at,
    )
