"""How a booking's end is written down: the booking, its session, its payment and the instructor's payout."""

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.booking import payment_records
from activities.booking.payment_records import moved
from activities.database import audit, outbox
from models.domain.endings import payment_after
from models.domain.messages import RecordEnding
from models.domain.notifications import Recipient, told
from models.domain.states import PaymentStatus, PayoutStatus, SessionStatus, advance
from models.tables.audit import AuditEvent
from models.tables.bookings import BookingRequest, LiveSession
from models.tables.payments import InstructorPayout


def event(message: RecordEnding) -> AuditEvent:
    """A deleted booking request is known by this row alone, so that its row says for whom and why."""
    terms, ending = message.terms, message.ending
    detail: dict[str, object] = {"reason": ending.reason}
    if ending.booking is None:
        action = "booking.deleted"
        detail |= {
            "decline_code": ending.decline_code,
            "student_id": str(terms.student_id),
            "slot_id": str(terms.slot_id),
        }
    else:
        action = f"booking.{ending.booking.lower()}"
        detail |= {"kept_minor": ending.split.kept.amount_minor, "currency": terms.price.currency}
    return audit.event(terms.booking_id, action, ending.actor, message.channel, message.at, detail)


async def carry_out(session: AsyncSession, booking: BookingRequest, message: RecordEnding) -> None:
    """Raises `IllegalTransition` when the booking, its session or its payment cannot end so."""
    ending = message.ending
    await _tell(session, booking, message)
    if ending.booking is None:
        await payment_records.fail(session, message.terms, message.payment, ending.decline_code, message.at)
        await session.delete(booking)
        return
    booking.status = moved(booking.status, ending.booking)
    booking.end_reason = ending.reason
    booking.next_deadline_at = None
    booking.checkout_url = None
    booking.needs_attention = False
    booking.attention_reason = None
    booking.updated_at = message.at
    await _end_session(session, message)
    await _end_payment(session, message)


async def _tell(session: AsyncSession, booking: BookingRequest, message: RecordEnding) -> None:
    """Before the booking is changed: the mail about a deleted one is made of what it was."""
    ending = message.ending
    await outbox.forget_reminders(session, booking.id)
    people = told(booking.status, ending.booking)
    if message.payment is None or not message.payment.was_held:
        # An instructor does not hear of a booking that nobody paid for, its end included.
        people = tuple(each for each in people if each.recipient is Recipient.STUDENT)
    facts: outbox.Facts = {"by": ending.actor.role}
    if ending.booking is None:
        facts |= outbox.as_it_was(booking) | {"reason": ending.reason, "decline_code": ending.decline_code}
    await outbox.announce(session, booking, people, message.at, facts)


async def _end_session(session: AsyncSession, message: RecordEnding) -> None:
    """A booking that ended before its approval has no session, and gets none."""
    live_session = await session.get(LiveSession, message.terms.booking_id, with_for_update=True)
    if live_session is None or message.ending.session is None:
        return
    live_session.status = moved(live_session.status, message.ending.session)
    live_session.platform_fee_minor = message.ending.split.platform_fee.amount_minor
    live_session.instructor_payout_minor = message.ending.split.instructor_payout.amount_minor
    if live_session.status is SessionStatus.CANCELLED:
        live_session.calendar_sequence += 1
    live_session.updated_at = message.at


async def _end_payment(session: AsyncSession, message: RecordEnding) -> None:
    payment, kept = message.payment, message.ending.split
    if payment is None:
        return
    to = payment_after(message.terms, message.ending, payment.was_held)
    if to is None:
        return
    await payment_records.settle(session, message.terms, payment, to, kept, message.at)
    if to is not PaymentStatus.REFUNDED and kept.instructor_payout:
        session.add(_payout(message))


def _payout(message: RecordEnding) -> InstructorPayout:
    terms, kept = message.terms, message.ending.split
    return InstructorPayout(
        booking_id=terms.booking_id,
        instructor_id=terms.instructor_id,
        status=advance(None, PayoutStatus.PROCESSING),
        amount_minor=kept.instructor_payout.amount_minor,
        platform_fee_minor=kept.platform_fee.amount_minor,
        currency=kept.kept.currency,
        created_at=message.at,
        updated_at=message.at,
    )
