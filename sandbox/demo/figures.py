"""Who paid and got what, read from Stripe's API and, for comparison, from Holdfast's tables."""

from dataclasses import dataclass
from datetime import datetime

import stripe
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.states import PaymentStatus
from models.tables import InstructorPayout, Payment

_MONEY = ["data.latest_charge.balance_transaction", "data.latest_charge.transfer", "data.latest_charge.application_fee"]


@dataclass(frozen=True)
class Figures:
    """Minor units. `platform_kept_minor` is before Stripe's own fee, which the platform pays."""

    student_paid_minor: int = 0
    instructor_received_minor: int = 0
    platform_kept_minor: int = 0
    stripe_fee_minor: int = 0


async def payments_since(client: stripe.StripeClient, start: datetime) -> dict[str, stripe.PaymentIntent]:
    """The PaymentIntents made since `start`, by the id of their booking."""
    listing = await client.v1.payment_intents.list_async(
        {"created": {"gte": int(start.timestamp())}, "limit": 100, "expand": _MONEY}
    )
    return {
        payment.metadata["booking_id"]: payment
        async for payment in listing.auto_paging_iter()
        if payment.metadata and "booking_id" in payment.metadata
    }


async def figures_at_stripe(client: stripe.StripeClient, payment: stripe.PaymentIntent) -> Figures:
    charge = payment.latest_charge
    if not isinstance(charge, stripe.Charge):
        return Figures()
    refunds = await client.v1.refunds.list_async({"payment_intent": payment.id, "limit": 100})
    # What a partial capture lets go has no balance transaction: that money never arrived.
    returned = sum(refund.amount for refund in refunds.data if refund.balance_transaction)
    # Stripe leaves `transfer` out of a charge that has none.
    transfer, fee, taken = getattr(charge, "transfer", None), charge.application_fee, charge.balance_transaction
    kept = fee.amount - fee.amount_refunded if isinstance(fee, stripe.ApplicationFee) else 0
    transferred = transfer.amount - transfer.amount_reversed if isinstance(transfer, stripe.Transfer) else 0
    return Figures(
        student_paid_minor=payment.amount_received - returned,
        instructor_received_minor=transferred - kept,
        platform_kept_minor=kept,
        stripe_fee_minor=taken.fee if isinstance(taken, stripe.BalanceTransaction) else 0,
    )


@dataclass(frozen=True)
class Recorded:
    """What Holdfast's tables say of a payment."""

    status: PaymentStatus
    figures: Figures


async def recorded_payments(engine: AsyncEngine) -> dict[str, Recorded]:
    """Every payment by its booking's id; Stripe's own fee is not in these tables."""
    query = select(Payment, InstructorPayout).join(
        InstructorPayout, col(InstructorPayout.booking_id) == col(Payment.booking_id), isouter=True
    )
    async with AsyncSession(engine) as session:
        rows = (await session.exec(query)).all()
    return {
        str(payment.booking_id): Recorded(
            payment.status,
            Figures(
                student_paid_minor=payment.captured_minor,
                instructor_received_minor=payout.amount_minor if payout else 0,
                platform_kept_minor=payment.platform_fee_minor,
            ),
        )
        for payment, payout in rows
    }
