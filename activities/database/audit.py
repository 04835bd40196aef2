"""The audit trail. An event's row also proves that its transaction was committed.

An activity may run again after its commit, and even after later steps (a lost answer, a reset workflow). Each activity
writes its event in the transaction of its effect, under a deterministic id. If the event exists already, the activity
changes nothing.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.actors import Actor, Subject
from models.domain.messages import Channel
from models.domain.states import HOLDS_SLOT, IllegalTransition
from models.tables.audit import AuditEvent, event_about
from models.tables.bookings import BookingRequest
from models.tables.columns import table_of

FAILED_ROUND = "operator_round"
"""In the detail of `booking.needs_attention`: the round of the step that failed. Only a parked booking has one."""
RESOLVED_BY = "update_id"
"""In the detail of `booking.attention_cleared`: the update with which an operator resolved it."""

_TABLE = table_of(AuditEvent)
_APPEND = insert(_TABLE).on_conflict_do_nothing().returning(_TABLE.c.id)


def event(
    booking_id: UUID,
    action: str,
    actor: Actor,
    channel: Channel,
    at: datetime,
    detail: dict[str, Any] | None = None,
    occasion: str = "",
) -> AuditEvent:
    """An event that happens once per booking, or once per `occasion`. `detail` has ids, codes and amounts only."""
    return event_about(Subject.BOOKING, booking_id, action, actor, channel, at, detail, occasion)


async def exists(session: AsyncSession, event: AuditEvent) -> bool:
    return await session.get(AuditEvent, event.id) is not None


async def append(session: AsyncSession, event: AuditEvent) -> bool:
    """Insert the event. Returns whether it is new. Waits for any transaction that is inserting the same one."""
    return (await session.exec(_APPEND, params=event.model_dump(exclude={"seq"}))).first() is not None


async def lock_for(session: AsyncSession, event: AuditEvent) -> BookingRequest | None:
    """Append the event and return its booking request, locked; `None` if the event was recorded before.

    The lock comes first, so that a repeated activity waits for the one that is still running. Raises
    `IllegalTransition` if the event is new and the booking request does not exist, or has ended.
    """
    booking = await session.get(BookingRequest, event.booking_id, with_for_update=True)
    if not await append(session, event):
        return None
    if booking is None or booking.status not in HOLDS_SLOT:
        raise IllegalTransition(f"there is no open booking request {event.booking_id} for {event.action}")
    return booking


async def next_rounds(session: AsyncSession, booking_ids: Collection[UUID]) -> dict[UUID, int]:
    """The first `PaymentRef.operator_round` in which no step of the booking has failed; none if all are in the first.

    A step of an earlier round was decided on before it failed: a reset plays that decision again.
    """
    parked = select(AuditEvent.booking_id, AuditEvent.detail).where(
        col(AuditEvent.booking_id).in_(booking_ids),
        col(AuditEvent.action) == "booking.needs_attention",
        col(AuditEvent.detail)[FAILED_ROUND].astext.is_not(None),
    )
    rounds: dict[UUID, int] = {}
    for id, detail in await session.exec(parked):
        if id is not None:
            rounds[id] = max(rounds.get(id, 0), detail[FAILED_ROUND] + 1)
    return rounds
