"""Refunds that were made in Stripe's dashboard or with the API key: told from our own, and adopted.

Our own records say whose refund it is: the row of a refund, or the payment's list of those that its ending recorded.
Metadata are a label that anyone who uses the Stripe account can write.
"""

from typing import Literal
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.ids import external_refund_id, ledger_id
from models.domain.ledger import PostingKind
from models.domain.refunds import AdoptRefund, ExternalRefund, RefundOrder
from models.domain.states import RefundStatus
from models.domain.stripe_events import REFUND_FAILED, StripeEvent
from models.tables.ledger import LedgerTransaction
from models.tables.payments import Payment
from models.tables.refunds import Refund


async def order_of(session: AsyncSession, event: StripeEvent) -> RefundOrder | None:
    """The refund that an event is about, by our own records; `None` if its workflow has nothing to do.

    A refund that is recorded nowhere is to be adopted: somebody else made it. So is one of the booking's ending that
    the student's bank has returned: from then on it can be sent again.
    """
    if event.object_id is None:
        return RefundOrder(refund_id=event.refund_id) if event.refund_id else None
    payment = await payment_of(session, event.payment_intent_id)
    if payment is None:
        return None
    recorded = await recorded_as(session, payment, event.object_id, event.refund_id)
    if recorded is None or (recorded == "ending" and event.type == REFUND_FAILED):
        return RefundOrder(refund_id=external_refund_id(event.object_id), stripe_refund_id=event.object_id)
    return RefundOrder(refund_id=recorded) if isinstance(recorded, UUID) else None


async def payment_of(session: AsyncSession, payment_intent_id: str | None, lock: bool = False) -> Payment | None:
    if not payment_intent_id:
        return None  # A booking that is not paid yet has none either.
    query = select(Payment).where(col(Payment.payment_intent_id) == payment_intent_id)
    return (await session.exec(query.with_for_update() if lock else query)).first()


async def recorded_as(
    session: AsyncSession, payment: Payment, stripe_refund_id: str, labelled: UUID | None
) -> UUID | Literal["ending", "earlier"] | None:
    """As which refund of the payment this one is recorded; `None` if as none.

    Its label counts only for a refund that Stripe may have made without its answer being recorded yet. Any other
    refund with a label of ours was made by somebody who copied it.
    """
    if stripe_refund_id in payment.ending_refund_ids:
        return "ending"
    of_booking = select(Refund).where(col(Refund.booking_id) == payment.booking_id)
    rows = (await session.exec(of_booking)).all()
    for row in rows:
        if row.stripe_refund_id == stripe_refund_id:
            return row.id
    if await session.get(LedgerTransaction, ledger_id(PostingKind.REFUND_SENT, stripe_refund_id)):
        return "earlier"
    return next((row.id for row in rows if row.id == labelled and _may_be_made(row)), None)


def _may_be_made(row: Refund) -> bool:
    """Whether Stripe may have made the refund, or made it again, without its answer being recorded."""
    return row.status is RefundStatus.FAILED or row.stripe_refund_id is None


def adopted(message: AdoptRefund, booking_id: UUID, external: ExternalRefund, is_of_ending: bool) -> Refund:
    """A refund of the ending has been deducted and posted as sent, with the ending."""
    return Refund(
        id=message.refund_id,
        booking_id=booking_id,
        status=RefundStatus.SUCCEEDED if is_of_ending else RefundStatus.RESERVED,
        amount_minor=external.amount.amount_minor,
        currency=external.amount.currency,
        borne_by=external.borne_by,
        tries=1,
        stripe_refund_id=message.stripe_refund_id,
        created_at=message.at,
        updated_at=message.at,
    )
