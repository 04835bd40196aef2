"""How an event of the audit trail is written. Whoever changes a record adds its event in the same transaction."""

from datetime import datetime
from typing import Any
from uuid import UUID

from models.domain.ids import audit_id
from models.domain.messages import Door
from models.domain.terms import Actor, Subject
from models.tables.bookings import AuditEvent


def event_about(
    subject: Subject,
    id: UUID,
    action: str,
    actor: Actor,
    door: Door,
    at: datetime,
    detail: dict[str, Any] | None = None,
    occasion: str = "",
) -> AuditEvent:
    """`action` happens once to its subject, or once on each `occasion`. `detail` holds ids, codes and amounts only."""
    is_booking = subject is Subject.BOOKING
    return AuditEvent(
        id=audit_id(id, f"{action}@{occasion}" if occasion else action),
        subject=subject,
        booking_id=id if is_booking else None,
        subject_id=None if is_booking else id,
        action=action,
        actor_role=actor.role,
        actor_id=actor.id,
        door=door,
        detail=detail or {},
        at=at,
    )
