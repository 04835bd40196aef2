"""The payment's row, from the authorization or its failure on."""

from datetime import datetime
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.database import ledger
from models.domain import postings
from models.domain.ledger import Posting
from models.domain.money import Money
from models.domain.payments import PaymentState
from models.domain.policy import PaymentPlan
from models.domain.postings import Shares
from models.domain.settlements import Settlement, settlement_postings
from models.domain.states import PaymentStatus, PayoutStatus, RefundStatus, S, advance
from models.domain.terms import BookingTerms
from models.tables.bookings import LiveSession
from models.tables.payments import InstructorPayout, Payment
from models.tables.refunds import Refund


class NotRecordedYet(Exception):
    """Stripe is ahead of the booking's records, which a running workflow is about to write. Retrying helps."""


def advance_unless_there(current: S, to: S) -> S:
    """Like `advance`, but a row that is in the state already may stay. Raises `IllegalTransition`."""
    return current if current == to else advance(current, to)


async def record_hold(session: AsyncSession, terms: BookingTerms, payment: PaymentState, at: datetime) -> Payment:
    """The secured payment, locked. It is created if it does not exist, and not changed if it does."""
    row = await _find(session, terms) or await _insert(session, terms, payment, PaymentStatus.PENDING, at)
    await ledger.post(session, at, *_secured(terms, payment))
    return row


async def record_renewal(session: AsyncSession, terms: BookingTerms, payment: PaymentState, at: datetime) -> Payment:
    """The payment that replaces a hold, which has ended."""
    row = await session.get_one(Payment, terms.booking_id, with_for_update=True)
    row.plan = terms.plan
    row.payment_intent_id, row.charge_id = payment.payment_intent_id, payment.charge_id
    row.hold_ends_at = payment.hold_ends_at
    row.lapsed_at = None
    row.updated_at = at
    await ledger.post(session, at, postings.hold_ended(terms), *_secured(terms, payment))
    return row


def _secured(terms: BookingTerms, payment: PaymentState) -> tuple[Posting, ...]:
    if terms.plan is PaymentPlan.HOLD:
        return (postings.hold_placed(terms),)
    charged = Money(amount_minor=payment.captured_minor, currency=terms.price.currency)
    return postings.charged(terms, charged, payment.stripe_fee)


async def record_settlement(
    session: AsyncSession, terms: BookingTerms, payment: PaymentState, to: PaymentStatus, at: datetime
) -> Payment:
    """Record the capture or release of a hold, as Stripe has it.

    A hold that was released before it was recorded gets its row here.
    """
    row = await record_hold(session, terms, payment, at)
    settlement = Settlement.of(payment, terms.price.currency)
    row.status = advance_unless_there(row.status, to)
    if settlement is not None:
        row.captured_minor = settlement.kept.amount_minor
        row.platform_fee_minor = settlement.platform_fee.amount_minor
        row.platform_loss_minor = settlement.returned.platform_loss.amount_minor
        row.ending_fee_returned_minor = payment.fee_returned_minor
        if conversion := payment.conversion:
            row.converted_minor = conversion.charged.amount_minor
            row.settled_minor, row.settled_currency = conversion.settled.amount_minor, conversion.settled.currency
    row.ending_refund_ids = list(payment.refund_ids)
    row.returned_minor = row.amount_minor - row.captured_minor
    row.payment_intent_id = row.payment_intent_id or payment.payment_intent_id
    row.charge_id = row.charge_id or payment.charge_id
    row.updated_at = at
    await ledger.post(session, at, *settlement_postings(terms, payment))
    return row


async def deduct(session: AsyncSession, payment: Payment, borne: Shares, at: datetime) -> None:
    """Deduct what went back to the student from a captured payment, its session and its payout.

    An adjustment may also move a part between the instructor and the platform, with nothing deducted.

    The caller has locked the payment. A bank may take back more than is left of it; then nothing is left.
    """
    deducted = min(borne.total.amount_minor, payment.captured_minor)
    payment.captured_minor -= deducted
    payment.returned_minor += deducted
    payment.platform_fee_minor -= borne.platform_fee.amount_minor
    payment.platform_loss_minor += borne.platform_loss.amount_minor - (borne.total.amount_minor - deducted)
    if borne.total or payment.status is PaymentStatus.DISPUTED:
        to = PaymentStatus.PARTIALLY_REFUNDED if payment.captured_minor else PaymentStatus.REFUNDED
        payment.status = advance_unless_there(payment.status, to)
    payment.updated_at = at
    live_session = await session.get(LiveSession, payment.booking_id, with_for_update=True)
    if live_session is not None:
        live_session.platform_fee_minor = payment.platform_fee_minor
        live_session.instructor_payout_minor = instructor_minor(payment)
        live_session.updated_at = at
    by_booking = select(InstructorPayout).where(col(InstructorPayout.booking_id) == payment.booking_id)
    payout = (await session.exec(by_booking.with_for_update())).first()
    if payout is not None:
        _reduce_payout(payout, payment, at)


def _reduce_payout(payout: InstructorPayout, payment: Payment, at: datetime) -> None:
    """A share that is on its way to the bank, or has arrived, keeps its amount: a later payout is reduced instead."""
    share = instructor_minor(payment)
    if share <= 0:
        payout.status = advance_unless_there(payout.status, PayoutStatus.REVERSED)
    elif payout.stripe_payout_id is None:
        payout.amount_minor = share
        payout.platform_fee_minor = payment.platform_fee_minor
    payout.updated_at = at


async def has_reserved_refund(session: AsyncSession, booking_id: UUID) -> bool:
    """Whether a refund of the booking is reserved and not created yet. The caller holds the payment's lock."""
    reserved = select(Refund.id).where(
        col(Refund.booking_id) == booking_id, col(Refund.status) == RefundStatus.RESERVED
    )
    return (await session.exec(reserved)).first() is not None


def instructor_minor(payment: Payment) -> int:
    """The instructor's share of the captured amount."""
    return payment.captured_minor - payment.platform_fee_minor + payment.platform_loss_minor


async def record_failure(
    session: AsyncSession, terms: BookingTerms, payment: PaymentState | None, decline_code: str | None, at: datetime
) -> None:
    """Record that the payment was not secured. Raises `IllegalTransition` if a hold was recorded."""
    row = await _find(session, terms)
    if row is None:
        row = await _insert(session, terms, payment, PaymentStatus.FAILED, at)
    if payment is not None and payment.was_held and terms.plan is PaymentPlan.CHARGE_THEN_TRANSFER:
        # Paid at the last moment, and refunded: Stripe's fee is the platform's cost.
        await ledger.post(session, at, *_secured(terms, payment), *settlement_postings(terms, payment))
    row.status = advance_unless_there(row.status, PaymentStatus.FAILED)
    row.decline_code = decline_code or row.decline_code
    row.updated_at = at


async def _find(session: AsyncSession, terms: BookingTerms) -> Payment | None:
    return await session.get(Payment, terms.booking_id, with_for_update=True)


async def _insert(
    session: AsyncSession, terms: BookingTerms, payment: PaymentState | None, status: PaymentStatus, at: datetime
) -> Payment:
    row = Payment(
        booking_id=terms.booking_id,
        plan=terms.plan,
        status=advance(None, status),
        amount_minor=terms.price.amount_minor,
        currency=terms.price.currency,
        payment_intent_id=payment.payment_intent_id if payment else None,
        charge_id=payment.charge_id if payment else None,
        hold_ends_at=payment.hold_ends_at if payment else None,
        decline_code=payment.decline_code if payment else None,
        created_at=at,
        updated_at=at,
    )
    session.add(row)
    return row
