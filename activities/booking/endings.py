"""Records a booking's ending: the booking request, its session, its payment and the instructor's payout."""

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.booking import payment_records
from activities.booking.payment_records import advance_unless_there
from activities.database import audit, outbox
from models.domain.actors import Role
from models.domain.endings import payment_after
from models.domain.fraud_warnings import ATTENTION_PREFIX
from models.domain.messages import RecordEnding
from models.domain.notifications import Recipient, notifications_for
from models.domain.states import PayoutStatus, SessionStatus, advance
from models.meeting_rooms import change_room
from models.tables.audit import AuditEvent
from models.tables.bookings import BookingRequest, LiveSession
from models.tables.payments import InstructorPayout, Payment


def audit_event(message: RecordEnding) -> AuditEvent:
    """Only this row is left of a deleted booking request, so its detail has the student, the slot and the reason.

    The student and the slot are also in that of an unpaid booking which its student cancelled: both are reservations
    that were let go (`models.rationing`).
    """
    terms, ending = message.terms, message.ending
    detail: dict[str, object] = {"reason": ending.reason}
    was_paid = message.payment is not None and message.payment.was_held
    if ending.booking is None or (ending.actor.role is Role.STUDENT and not was_paid):
        detail |= {"student_id": str(terms.student_id), "slot_id": str(terms.slot_id)}
    if ending.booking is None:
        action = "booking.deleted"
        detail |= {"decline_code": ending.decline_code, "advice_code": ending.advice_code}
    else:
        action = f"booking.{ending.booking.lower()}"
        detail |= {"kept_minor": ending.split.kept.amount_minor, "currency": terms.price.currency}
    return audit.event(terms.booking_id, action, ending.actor, message.channel, message.at, detail)


async def apply(session: AsyncSession, booking: BookingRequest, message: RecordEnding) -> None:
    """Raises `IllegalTransition` if the booking, its session or its payment cannot move to the ending's state."""
    ending = message.ending
    await _notify(session, booking, message)
    if ending.booking is None:
        await payment_records.record_failure(session, message.terms, message.payment, ending.decline_code, message.at)
        await session.delete(booking)
        return
    booking.status = advance_unless_there(booking.status, ending.booking)
    booking.end_reason = ending.reason
    booking.next_deadline_at = None
    booking.checkout_url = None
    booking.updated_at = message.at
    if not (booking.attention_reason or "").startswith(ATTENTION_PREFIX):
        booking.end_attention(message.at)
    payment = await _end_payment(session, message)
    await _end_session(session, message, payment)


async def _notify(session: AsyncSession, booking: BookingRequest, message: RecordEnding) -> None:
    """Called before the booking changes: the mail about a deleted booking request is made from this snapshot."""
    ending = message.ending
    await outbox.delete_reminders(session, booking.id)
    notifications = notifications_for(booking.status, ending.booking)
    if message.payment is None or not message.payment.was_held:
        # Instructors are not notified of unpaid bookings, nor of their endings.
        notifications = tuple(each for each in notifications if each.recipient is Recipient.STUDENT)
    facts: outbox.Facts = {"by": ending.actor.role}
    if ending.booking is None:
        facts |= outbox.snapshot(booking) | {
            "reason": ending.reason,
            "decline_code": ending.decline_code,
            "advice_code": ending.advice_code,
        }
    await outbox.notify(session, booking, notifications, message.at, facts)


async def _end_session(session: AsyncSession, message: RecordEnding, payment: Payment | None) -> None:
    """A booking that ends before its approval has no session."""
    live_session = await session.get(LiveSession, message.terms.booking_id, with_for_update=True)
    if live_session is None or message.ending.session is None:
        return
    live_session.status = advance_unless_there(live_session.status, message.ending.session)
    if payment is not None:
        live_session.platform_fee_minor = payment.platform_fee_minor
        live_session.instructor_payout_minor = payment_records.instructor_minor(payment)
    if live_session.status is SessionStatus.CANCELLED:
        live_session.calendar_sequence += 1
        change_room(session, live_session)
    live_session.updated_at = message.at


async def _end_payment(session: AsyncSession, message: RecordEnding) -> Payment | None:
    """The payment's row; `None` if nobody ever tried to pay."""
    payment = message.payment
    if payment is None:
        return None
    to = payment_after(message.terms, message.ending, payment.was_held)
    if to is None:
        return None
    row = await payment_records.record_settlement(session, message.terms, payment, to, message.at)
    if payment_records.instructor_minor(row) > 0:
        session.add(_payout(message, row))
    return row


def _payout(message: RecordEnding, payment: Payment) -> InstructorPayout:
    """Also of a payment that was refunded in full, if the refund left the instructor their share."""
    terms = message.terms
    return InstructorPayout(
        booking_id=terms.booking_id,
        instructor_id=terms.instructor_id,
        status=advance(None, PayoutStatus.PROCESSING),
        amount_minor=payment_records.instructor_minor(payment),
        platform_fee_minor=payment.platform_fee_minor,
        currency=payment.currency,
        created_at=message.at,
        updated_at=message.at,
    )
