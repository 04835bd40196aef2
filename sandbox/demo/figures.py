"""Who paid and who got what, read from Stripe's API and, for comparison, from Holdfast's tables."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime

import stripe
from sqlalchemy import func
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.stripe.balances import transfers_of_charge
from models.domain.ledger import Account, PostingKind
from models.domain.policy import PaymentPlan
from models.domain.states import PaymentStatus
from models.domain.stripe_events import BOOKING_METADATA
from models.tables.ledger import LedgerEntry, LedgerTransaction
from models.tables.payments import Payment

_EXPAND = [
    "data.latest_charge.balance_transaction",
    "data.latest_charge.transfer",
    "data.latest_charge.application_fee",
]

_PAYOUTS = (PostingKind.PAID_OUT, PostingKind.PAYOUT_FAILED)


@dataclass(frozen=True)
class Figures:
    """Minor units. `platform_kept_minor` is before Stripe's own fee, which the platform pays."""

    student_paid_minor: int = 0
    instructor_received_minor: int = 0
    platform_kept_minor: int = 0
    stripe_fee_minor: int = 0


async def payments_since(client: stripe.StripeClient, start: datetime) -> dict[str, list[stripe.PaymentIntent]]:
    """The PaymentIntents created since `start`, by booking id. A booking that is paid again has several."""
    listing = await client.v1.payment_intents.list_async(
        {"created": {"gte": int(start.timestamp())}, "limit": 100, "expand": _EXPAND}
    )
    payments = defaultdict[str, list[stripe.PaymentIntent]](list)
    async for payment in listing.auto_paging_iter():
        if payment.metadata and BOOKING_METADATA in payment.metadata:
            payments[payment.metadata[BOOKING_METADATA]].append(payment)
    return payments


async def figures_of_booking(client: stripe.StripeClient, payments: Sequence[stripe.PaymentIntent]) -> Figures:
    parts = [await figures_at_stripe(client, payment) for payment in payments]
    return Figures(*(sum(amounts) for amounts in zip(*map(astuple, parts), strict=True)))


async def figures_at_stripe(client: stripe.StripeClient, payment: stripe.PaymentIntent) -> Figures:
    charge = payment.latest_charge
    if not isinstance(charge, stripe.Charge):
        return Figures()
    refunds = await client.v1.refunds.list_async({"payment_intent": payment.id, "limit": 100})
    # The part that a partial capture releases has no balance transaction, since it was never captured.
    refunded = sum(refund.amount for refund in refunds.data if refund.balance_transaction)
    fee, posted = charge.application_fee, charge.balance_transaction
    fees = fee.amount - fee.amount_refunded if isinstance(fee, stripe.ApplicationFee) else 0
    transferred = sum(each.amount - each.amount_reversed for each in await transfers_of_charge(client, charge))
    disputed = await _disputed(client, charge)
    paid = payment.amount_received - refunded + sum(transaction.amount for transaction in disputed)
    return Figures(
        student_paid_minor=paid,
        instructor_received_minor=transferred - fees,
        platform_kept_minor=paid - transferred + fees,
        stripe_fee_minor=(posted.fee if isinstance(posted, stripe.BalanceTransaction) else 0)
        + sum(transaction.fee for transaction in disputed),
    )


async def _disputed(client: stripe.StripeClient, charge: stripe.Charge) -> list[stripe.BalanceTransaction]:
    """The balance transactions of its disputes: what was withdrawn from the platform, and reinstated."""
    if not charge.disputed:
        return []
    disputes = await client.v1.disputes.list_async({"charge": charge.id})
    return [transaction for dispute in disputes.data for transaction in dispute.balance_transactions]


@dataclass(frozen=True)
class RecordedPayment:
    """A payment as Holdfast's tables have it."""

    status: PaymentStatus
    plan: PaymentPlan
    figures: Figures


async def recorded_payments(engine: AsyncEngine) -> dict[str, RecordedPayment]:
    """Every payment by booking id. `stripe_fee_minor` stays 0: these tables do not have Stripe's fee."""
    earned = (
        select(col(LedgerTransaction.booking_id), func.sum(col(LedgerEntry.amount_minor)).label("minor"))
        .join(LedgerEntry, col(LedgerEntry.transaction_id) == col(LedgerTransaction.id))
        .where(col(LedgerEntry.account) == Account.INSTRUCTOR_PAYABLE, col(LedgerTransaction.kind).not_in(_PAYOUTS))
        .group_by(col(LedgerTransaction.booking_id))
        .subquery()
    )
    query = select(Payment, earned.c.minor).join(earned, earned.c.booking_id == col(Payment.booking_id), isouter=True)
    async with AsyncSession(engine) as session:
        rows = (await session.exec(query)).all()
    return {
        str(payment.booking_id): RecordedPayment(
            payment.status,
            payment.plan,
            Figures(
                student_paid_minor=payment.captured_minor,
                instructor_received_minor=-int(earned_minor or 0),
                platform_kept_minor=payment.platform_fee_minor,
            ),
        )
        for payment, earned_minor in rows
    }
