"""The outbox. Notifications are inserted in the transaction of what they report; `activities.mail` sends them.

Row ids are deterministic, so that an activity that runs again adds nothing.
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
from models.domain.notifications import ON_RESCHEDULING, SCHEDULED, Notification, Recipient, scheduled_notifications
from models.tables.bookings import BookingRequest, LiveSession
from models.tables.columns import table_of
from models.tables.outbox import OutboxMessage

Facts = dict[str, Any]

_INSERT = insert(table_of(OutboxMessage)).on_conflict_do_nothing()


async def notify(
    session: AsyncSession,
    booking: BookingRequest,
    notifications: Iterable[Notification],
    at: datetime,
    facts: Facts | None = None,
    occasion: str = "",
) -> None:
    """Queue notifications to be sent now. Each is sent once per booking, or once per `occasion`.

    `facts` are ids, times, codes and amounts that the records may no longer have when the mail is sent.
    """
    await _insert(session, [_message(booking, each, at, at, facts, occasion) for each in notifications])


async def notify_of_payout(
    session: AsyncSession,
    instructor_id: UUID,
    payout_id: str,
    notifications: Iterable[Notification],
    at: datetime,
    facts: Facts,
) -> None:
    """Queue notifications of a payout: one per payout, however many bookings it pays."""
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
        for each in notifications
    ]
    await _insert(session, messages)


async def schedule_reminders(session: AsyncSession, booking: BookingRequest, at: datetime) -> None:
    """Queue the reminders of a session that was agreed at `at`, to be sent when they are due."""
    assert booking.next_deadline_at is not None
    reminders = scheduled_notifications(booking.starts_at, booking.ends_at, booking.next_deadline_at, at)
    await _insert(
        session, [_message(booking, each, at, due_at, None, due_at.isoformat()) for each, due_at in reminders]
    )


async def delete_reminders(session: AsyncSession, booking_id: UUID) -> None:
    """Delete the reminders that have not been sent: the session is closed, or moved to another time."""
    await session.exec(
        delete(OutboxMessage).where(
            col(OutboxMessage.booking_id) == booking_id,
            col(OutboxMessage.kind).in_(SCHEDULED),
            col(OutboxMessage.sent_at).is_(None),
        )
    )


async def reschedule(
    session: AsyncSession,
    booking: BookingRequest,
    live_session: LiveSession | None,
    previous_starts_at: datetime,
    at: datetime,
) -> None:
    """Notify both sides of the new time, and replace the reminders. `booking` has the new times already.

    Before the approval there is no session: no invitation to update, and no reminders.
    """
    if live_session is not None:
        live_session.calendar_sequence += 1
        live_session.updated_at = at
        await delete_reminders(session, booking.id)
        await schedule_reminders(session, booking, at)
    facts = {"previous_starts_at": previous_starts_at.isoformat(), "starts_at": booking.starts_at.isoformat()}
    await notify(session, booking, ON_RESCHEDULING, at, facts, occasion=at.isoformat())


def snapshot(booking: BookingRequest) -> Facts:
    """A booking request that is about to be deleted, as facts for the mail about it."""
    return {"booking": booking.model_dump(mode="json", exclude={"checkout_url", "rejection_reason"})}


def _message(
    booking: BookingRequest,
    notification: Notification,
    at: datetime,
    due_at: datetime,
    facts: Facts | None,
    occasion: str,
) -> OutboxMessage:
    recipient_id = booking.student_id if notification.recipient is Recipient.STUDENT else booking.instructor_id
    return OutboxMessage(
        id=notification_id(booking.id, notification.notification, recipient_id, occasion),
        booking_id=booking.id,
        kind=notification.notification,
        recipient_role=notification.recipient,
        recipient_id=recipient_id,
        facts=facts or {},
        due_at=due_at,
        next_attempt_at=due_at,
        created_at=at,
    )


async def _insert(session: AsyncSession, messages: list[OutboxMessage]) -> None:
    if messages:
        await session.exec(_INSERT, params=[message.model_dump() for message in messages])
