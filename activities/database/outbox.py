"""Mails to be sent, written in the transaction of what they tell of. `activities.mail` sends them.

Each row's id follows from what it says, so that an activity that runs again adds nothing.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.ids import notification_id, payout_notification_id
from models.domain.notifications import FOR_LATER, ON_RESCHEDULING, Notification, Recipient, later
from models.tables.bookings import BookingRequest, LiveSession
from models.tables.outbox import OutboxMessage

Facts = dict[str, Any]


async def announce(
    session: AsyncSession,
    booking: BookingRequest,
    told: Iterable[Notification],
    at: datetime,
    facts: Facts | None = None,
    occasion: str = "",
) -> None:
    """Tell these people now. A notice is given once in a booking, or once on each `occasion`.

    `facts` are ids, times, codes and amounts that the records will not tell any more when the mail is sent.
    """
    await _write(session, [_message(booking, each, at, at, facts, occasion) for each in told])


async def announce_payout(
    session: AsyncSession, instructor_id: UUID, payout_id: str, told: Iterable[Notification], at: datetime, facts: Facts
) -> None:
    """Tell its instructor of a payout, once for all that is in it."""
    messages = [
        OutboxMessage(
            id=payout_notification_id(payout_id, each.notification),
            kind=each.notification,
            recipient_role=each.recipient,
            recipient_id=instructor_id,
            facts=facts,
            due_at=at,
            next_attempt_at=at,
            created_at=at,
        )
        for each in told
    ]
    await _write(session, messages)


async def remind(session: AsyncSession, booking: BookingRequest, at: datetime) -> None:
    """Write down all that is to be said later of a session that is agreed at `at`."""
    assert booking.next_deadline_at is not None
    what = later(booking.starts_at, booking.ends_at, booking.next_deadline_at, at)
    await _write(session, [_message(booking, told, at, due_at, None, due_at.isoformat()) for told, due_at in what])


async def forget_reminders(session: AsyncSession, booking_id: UUID) -> None:
    """Drop what was to be said later and has not been: the session is closed, or at another time."""
    await session.exec(
        delete(OutboxMessage).where(
            col(OutboxMessage.booking_id) == booking_id,
            col(OutboxMessage.kind).in_(FOR_LATER),
            col(OutboxMessage.sent_at).is_(None),
        )
    )


async def reschedule(
    session: AsyncSession,
    booking: BookingRequest,
    live_session: LiveSession,
    previous_starts_at: datetime,
    at: datetime,
) -> None:
    """Tell both sides of the new time, and remind them then. `booking` has its new times and deadline already."""
    live_session.calendar_sequence += 1
    live_session.updated_at = at
    await forget_reminders(session, booking.id)
    await remind(session, booking, at)
    facts = {"previous_starts_at": previous_starts_at.isoformat()}
    await announce(session, booking, ON_RESCHEDULING, at, facts, occasion=at.isoformat())


def as_it_was(booking: BookingRequest) -> Facts:
    """What a mail about a booking request that is deleted now will be made of."""
    return {"booking": booking.model_dump(mode="json", exclude={"checkout_url", "rejection_reason"})}


def _message(
    booking: BookingRequest, told: Notification, at: datetime, due_at: datetime, facts: Facts | None, occasion: str
) -> OutboxMessage:
    recipient_id = booking.student_id if told.recipient is Recipient.STUDENT else booking.instructor_id
    return OutboxMessage(
        id=notification_id(booking.id, told.notification, recipient_id, occasion),
        booking_id=booking.id,
        kind=told.notification,
        recipient_role=told.recipient,
        recipient_id=recipient_id,
        facts=facts or {},
        due_at=due_at,
        next_attempt_at=due_at,
        created_at=at,
    )


async def _write(session: AsyncSession, messages: list[OutboxMessage]) -> None:
    if messages:
        rows = [message.model_dump() for message in messages]
        await session.exec(insert(OutboxMessage).values(rows).on_conflict_do_nothing())
