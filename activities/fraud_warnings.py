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
from models.domain.fraud_warnings import DISMISSED, WARNED, FraudWarning, FraudWarningOutcome, TakeFraudWarning
from models.domain.messages import Channel
from models.domain.money import Money
from models.domain.policy import BookingPolicy, FraudWarningPolicy
from models.domain.refunds import refusal
from models.domain.states import PaymentStatus, RefundStatus
from models.tables.bookings import BookingRequest
from models.tables.payments import Payment
from models.tables.refunds import Refund

_REASON_PREFIX = "The card's bank warns of fraud"


class FraudWarningActivities:
    def __init__(self, engine: AsyncEngine, gateway: RefundGateway) -> None:
        self._engine = engine
        self._gateway = gateway

    @activity.defn
    async def take_fraud_warning(self, message: TakeFraudWarning) -> FraudWarningOutcome:
        """Order a refund of all that is left, or request an operator's attention, as the booking's policy says.

        A warning that needs no action any more, or that an operator has dismissed, ends the attention that it called
        for. Raises `NotRecordedYet` while another refund of the booking is in progress.
        """
        warning = await self._gateway.look_up_fraud_warning(message.warning_id)
        by_intent = select(Payment.booking_id).where(col(Payment.payment_intent_id) == warning.payment_intent_id)
        async with transaction(self._engine) as session:
            booking_id = (await session.exec(by_intent)).first()
            if booking_id is None:
                return FraudWarningOutcome.NO_REFUND
            booking = await session.get_one(BookingRequest, booking_id, with_for_update=True)
            payment = await session.get_one(Payment, booking_id, with_for_update=True)
            await _record(session, payment, warning, message)
            if payment.status is PaymentStatus.PENDING:
                return FraudWarningOutcome.LATER
            return await _act(session, booking, payment, warning, message)


async def _record(session: AsyncSession, payment: Payment, warning: FraudWarning, message: TakeFraudWarning) -> None:
    detail = {"warning_id": warning.warning_id, "fraud_type": warning.fraud_type, "amount_minor": payment.amount_minor}
    warned = audit.event(payment.booking_id, WARNED, PLATFORM, Channel.STRIPE, message.at, detail, warning.warning_id)
    await audit.append(session, warned)


async def _act(
    session: AsyncSession, booking: BookingRequest, payment: Payment, warning: FraudWarning, message: TakeFraudWarning
) -> FraudWarningOutcome:
    if await session.get(Refund, message.refund_id) is not None:
        return FraudWarningOutcome.REFUND
    left = Money(amount_minor=payment.captured_minor, currency=payment.currency)
    dismissed = audit.event(booking.id, DISMISSED, PLATFORM, Channel.API, message.at, occasion=warning.warning_id)
    is_dismissed = await audit.exists(session, dismissed)
    if is_dismissed or not warning.is_actionable or refusal(left, payment.status, left, other_under_way=False):
        if (booking.attention_reason or "").startswith(_REASON_PREFIX):
            await attention.end(session, booking, message.at)
        return FraudWarningOutcome.NO_REFUND
    policy = BookingPolicy.model_validate(booking.policy)
    if policy.on_fraud_warning is FraudWarningPolicy.ATTENTION:
        if not booking.needs_attention:
            reason = f"{_REASON_PREFIX} ({warning.fraud_type}): a refund now may save a dispute"
            booking.call_attention(reason, message.at)
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
