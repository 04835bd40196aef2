"""The activity that acts on an early fraud warning. It is safe to repeat."""

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.booking import payment_records
from activities.booking.payment_records import NotRecordedYet
from activities.database import attention, audit
from activities.database.transactions import transaction
from activities.gateways import RefundGateway
from models.domain.actors import PLATFORM
from models.domain.fraud_warnings import (
    ATTENTION_PREFIX,
    DISMISSED,
    WARNED,
    CancelBooking,
    FraudWarning,
    FraudWarningOutcome,
    TakeFraudWarning,
)
from models.domain.messages import Channel
from models.domain.money import Money
from models.domain.policy import BookingPolicy, FraudWarningPolicy, PaymentPlan
from models.domain.refunds import refusal
from models.domain.states import HOLDS_SLOT, PaymentStatus, RefundStatus
from models.tables.bookings import BookingRequest
from models.tables.payments import Payment
from models.tables.refunds import Refund


class FraudWarningActivities:
    def __init__(self, engine: AsyncEngine, gateway: RefundGateway) -> None:
        self._engine = engine
        self._gateway = gateway

    @activity.defn
    async def take_fraud_warning(self, message: TakeFraudWarning) -> FraudWarningOutcome | CancelBooking:
        """Order a refund of all that is left, or request an operator's attention, as the booking's policy says.

        A charge that is still held is refunded by cancelling its booking, if the session is still to come.

        A warning that needs no action any more, or that an operator has dismissed, ends the attention that it called
        for. Raises `NotRecordedYet` while another refund of the booking is in progress.
        """
        warning = await self._gateway.look_up_fraud_warning(message.warning_id)
        by_intent = select(Payment.booking_id).where(col(Payment.payment_intent_id) == warning.payment_intent_id)
        async with transaction(self._engine) as session:
            booking_id = (await session.exec(by_intent)).first()
            if booking_id is None:
                return FraudWarningOutcome.NO_REFUND
            booking = await session.get(BookingRequest, booking_id, with_for_update=True)
            if booking is None:
                return FraudWarningOutcome.NO_REFUND  # Deleted: whatever was paid has been returned.
            payment = await session.get_one(Payment, booking_id, with_for_update=True)
            await _record(session, payment, warning, message)
            if await session.get(Refund, message.refund_id) is not None:
                return FraudWarningOutcome.REFUND
            dismissed = audit.event(booking_id, DISMISSED, PLATFORM, Channel.API, message.at, None, warning.warning_id)
            if await audit.exists(session, dismissed) or not warning.is_actionable:
                return await _drop(session, booking, message)
            if payment.status is PaymentStatus.PENDING:
                return _act_while_held(booking, payment, warning, message)
            return await _act(session, booking, payment, warning, message)


async def _record(session: AsyncSession, payment: Payment, warning: FraudWarning, message: TakeFraudWarning) -> None:
    detail = {"warning_id": warning.warning_id, "fraud_type": warning.fraud_type, "amount_minor": payment.amount_minor}
    warned = audit.event(payment.booking_id, WARNED, PLATFORM, Channel.STRIPE, message.at, detail, warning.warning_id)
    await audit.append(session, warned)


async def _drop(session: AsyncSession, booking: BookingRequest, message: TakeFraudWarning) -> FraudWarningOutcome:
    if (booking.attention_reason or "").startswith(ATTENTION_PREFIX):
        await attention.end(session, booking, message.at)
    return FraudWarningOutcome.NO_REFUND


def _call_attention(booking: BookingRequest, warning: FraudWarning, message: TakeFraudWarning) -> None:
    if not booking.needs_attention:
        reason = f"{ATTENTION_PREFIX} ({warning.fraud_type}): a refund now may save a dispute"
        booking.call_attention(reason, message.at)


def _act_while_held(
    booking: BookingRequest, payment: Payment, warning: FraudWarning, message: TakeFraudWarning
) -> FraudWarningOutcome | CancelBooking:
    """Of a hold, nothing can be refunded yet. A charge that is held can be disputed for as long as any other."""
    if payment.plan is PaymentPlan.HOLD:
        return FraudWarningOutcome.LATER
    is_to_come = booking.status in HOLDS_SLOT and message.at < booking.starts_at
    policy = BookingPolicy.model_validate(booking.policy)
    if is_to_come and policy.on_fraud_warning is FraudWarningPolicy.REFUND:
        return CancelBooking(booking_id=booking.id)
    # Once the session has begun, who bears a refund depends on how the booking ends.
    _call_attention(booking, warning, message)
    return FraudWarningOutcome.LATER


async def _act(
    session: AsyncSession, booking: BookingRequest, payment: Payment, warning: FraudWarning, message: TakeFraudWarning
) -> FraudWarningOutcome:
    left = Money(amount_minor=payment.captured_minor, currency=payment.currency)
    if refusal(left, payment.status, left, other_under_way=False):
        return await _drop(session, booking, message)
    policy = BookingPolicy.model_validate(booking.policy)
    if policy.on_fraud_warning is FraudWarningPolicy.ATTENTION:
        _call_attention(booking, warning, message)
        return FraudWarningOutcome.NO_REFUND
    if await payment_records.has_reserved_refund(session, booking.id):
        raise NotRecordedYet("another refund of the booking is in progress")
    session.add(
        Refund(
            id=message.refund_id,
            booking_id=booking.id,
            status=RefundStatus.RESERVED,
            amount_minor=left.amount_minor,
            currency=left.currency,
            borne_by=policy.lost_dispute_borne_by,
            fraud_warning_id=warning.warning_id,
            tries=1,
            created_at=message.at,
            updated_at=message.at,
        )
    )
    return FraudWarningOutcome.REFUND
