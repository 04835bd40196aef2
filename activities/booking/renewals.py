"""Records that a student is asked to pay again, and that they have."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, update
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.booking import payment_records
from activities.database import audit, ledger, outbox
from activities.database.transactions import transaction
from activities.gateways import CheckoutPage
from models.domain import postings
from models.domain.actors import PLATFORM, Actor, Role
from models.domain.messages import Channel, RecordLapse, RecordRenewal, RecordRenewalClosed, RecordRenewedPayment
from models.domain.notifications import ON_RENEWAL, ON_RENEWAL_REMINDER, ON_RENEWED
from models.domain.renewals import Renewal
from models.domain.states import HOLDS_SLOT
from models.tables.bookings import BookingRequest
from models.tables.payments import Payment, PaymentRenewal


async def record(engine: AsyncEngine, message: RecordRenewal) -> None:
    """The student has to pay again, on a page that is opened next."""
    renewal = message.renewal
    requested = audit.event(
        message.booking_id, "booking.payment_renewal_requested", PLATFORM, Channel.WORKFLOW, message.at,
        {"reason": renewal.reason, "pay_by": renewal.pay_by.isoformat(), **renewal.amount.model_dump()},
        occasion=f"{renewal.page}/{renewal.pay_by.isoformat()}",
    )  # fmt: skip
    async with transaction(engine) as session:
        booking = await audit.lock_for(session, requested)
        if booking is None:
            return
        changes: dict[str, object] = {
            "reason": renewal.reason,
            "amount_minor": renewal.amount.amount_minor,
            "currency": renewal.amount.currency,
            "pay_by": renewal.pay_by,
            "is_final": renewal.is_final,
            "page": renewal.page,
        }
        new_page = {"checkout_session_id": None, "checkout_url": None, "closed_at": None, "requested_at": message.at}
        row = insert(PaymentRenewal).values(booking_id=booking.id, **changes, **new_page)
        if renewal.checkout_session_id is None:
            changes |= new_page
        await session.exec(row.on_conflict_do_update(index_elements=["booking_id"], set_=changes))
        booking.next_deadline_at = renewal.pay_by
        booking.updated_at = message.at


async def record_page(engine: AsyncEngine, booking_id: UUID, renewal: Renewal, opened: CheckoutPage) -> None:
    """The page is open: ask the student to pay, and tell the instructor once. Its URL is recorded nowhere else."""
    async with transaction(engine) as session:
        booking = await session.get(BookingRequest, booking_id, with_for_update=True)
        row = await session.get(PaymentRenewal, booking_id)
        # A workflow that was reset repeats earlier steps.
        if booking is None or row is None or row.page != renewal.page or row.checkout_session_id is not None:
            return
        row.checkout_session_id = opened.checkout.checkout_session_id
        row.checkout_url = opened.url
        people = ON_RENEWAL_REMINDER if renewal.is_reminder else ON_RENEWAL
        facts: outbox.Facts = {"until": row.pay_by.isoformat()}
        await outbox.notify(session, booking, people, row.requested_at, facts, row.checkout_session_id)


async def record_renewed(engine: AsyncEngine, message: RecordRenewedPayment) -> None:
    """The new payment is secured, and the old hold has been released."""
    terms, payment = message.terms, message.payment
    student = Actor(role=Role.STUDENT, id=terms.student_id)
    renewed = audit.event(
        terms.booking_id, "booking.payment_renewed", student, Channel.WORKFLOW, message.at,
        {"payment_intent_id": payment.payment_intent_id}, occasion=payment.payment_intent_id or "",
    )  # fmt: skip
    async with transaction(engine) as session:
        booking = await audit.lock_for(session, renewed)
        if booking is None:
            return
        await payment_records.record_renewal(session, terms, payment, message.at)
        booking.plan = terms.plan
        booking.checkout_session_id = payment.checkout_session_id
        if message.deadline_at:
            booking.next_deadline_at = message.deadline_at
        booking.updated_at = message.at
        await _close(session, booking.id, message.at)
        await outbox.notify(session, booking, ON_RENEWED, message.at)


async def record_closed(engine: AsyncEngine, message: RecordRenewalClosed) -> None:
    """The page is closed: the session was moved back to where the hold lasts, or the booking ends."""
    async with transaction(engine) as session:
        booking = await session.get(BookingRequest, message.booking_id, with_for_update=True)
        if booking is None or booking.status not in HOLDS_SLOT:
            return
        await _close(session, booking.id, message.at)
        booking.next_deadline_at = message.deadline_at
        booking.updated_at = message.at


async def _close(session: AsyncSession, booking_id: UUID, at: datetime) -> None:
    of_booking = update(PaymentRenewal).where(col(PaymentRenewal.booking_id) == booking_id)
    await session.exec(of_booking.values(closed_at=at, checkout_url=None))


async def record_lapse(engine: AsyncEngine, message: RecordLapse) -> None:
    lapsed = audit.event(message.terms.booking_id, "booking.hold_lapsed", PLATFORM, Channel.STRIPE, message.at)
    async with transaction(engine) as session:
        booking = await audit.lock_for(session, lapsed)
        if booking is None:
            return
        payment = await session.get_one(Payment, booking.id, with_for_update=True)
        payment.lapsed_at = payment.updated_at = booking.updated_at = message.at
        await ledger.post(session, message.at, postings.hold_ended(message.terms))
