"""Who paid and got what, read from Stripe's API and, for comparison, from Holdfast's tables."""

from dataclasses import dataclass
from datetime import datetime

import stripe
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.ledger import Account, PostingKind
from models.domain.states import PaymentStatus
from models.tables.ledger import LedgerEntry, LedgerTransaction
from models.tables.payments import Payment

_MONEY = ["data.latest_charge.balance_transaction", "data.latest_charge.transfer", "data.latest_charge.application_fee"]

_TO_THE_BANK = (PostingKind.PAID_OUT, PostingKind.PAYOUT_FAILED)


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
    fees = fee.amount - fee.amount_refunded if isinstance(fee, stripe.ApplicationFee) else 0
    transferred = transfer.amount - transfer.amount_reversed if isinstance(transfer, stripe.Transfer) else 0
    disputed = await _disputed(client, charge)
    paid = payment.amount_received - returned + sum(part.amount for part in disputed)
    return Figures(
        student_paid_minor=paid,
        instructor_received_minor=transferred - fees,
        platform_kept_minor=paid - transferred + fees,
        stripe_fee_minor=(taken.fee if isinstance(taken, stripe.BalanceTransaction) else 0)
        + sum(part.fee for part in disputed),
    )


async def _disputed(client: stripe.StripeClient, charge: stripe.Charge) -> list[stripe.BalanceTransaction]:
    """What its disputes took from the platform, and brought back."""
    if not charge.disputed:
        return []
    disputes = await client.v1.disputes.list_async({"charge": charge.id})
    return [moved for dispute in disputes.data for moved in dispute.balance_transactions]


@dataclass(frozen=True)
class Recorded:
    """What Holdfast's tables say of a payment."""

    status: PaymentStatus
    figures: Figures


async def recorded_payments(engine: AsyncEngine) -> dict[str, Recorded]:
    """Every payment by its booking's id; Stripe's own fee is not in these tables."""
    earned = (
        select(col(LedgerTransaction.booking_id), func.sum(col(LedgerEntry.amount_minor)).label("minor"))
        .join(LedgerEntry, col(LedgerEntry.transaction_id) == col(LedgerTransaction.id))
        .where(col(LedgerEntry.account) == Account.INSTRUCTOR_PAYABLE, col(LedgerTransaction.kind).not_in(_TO_THE_BANK))
        .group_by(col(LedgerTransaction.booking_id))
        .subquery()
    )
    query = select(Payment, earned.c.minor).join(earned, earned.c.booking_id == col(Payment.booking_id), isouter=True)
    async with AsyncSession(engine) as session:
        rows = (await session.exec(query)).all()
    return {
        str(payment.booking_id): Recorded(
            payment.status,
            Figures(
                student_paid_minor=payment.captured_minor,
                instructor_received_minor=-int(earned_minor or 0),
                platform_kept_minor=payment.platform_fee_minor,
            ),
        )
        for payment, earned_minor in rows
    }
