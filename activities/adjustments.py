"""The activity of the Adjustment workflow: previews or posts a correction of the ledger, and settles its drifts."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.booking import payment_records
from activities.database import attention, audit, ledger
from activities.database.transactions import transaction
from activities.reconciliation.comparison import ledger_amounts
from models.domain import postings
from models.domain.adjustments import Adjustment, AdjustmentView, RecordAdjustment, adjustment
from models.domain.messages import Channel
from models.domain.money import Money
from models.domain.reconciliation import DriftKind
from models.domain.states import HOLDS_SLOT
from models.tables.bookings import BookingRequest
from models.tables.payments import Payment
from models.tables.reconciliation import Drift


class AdjustmentActivities:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @activity.defn
    async def record_adjustment(self, message: RecordAdjustment) -> AdjustmentView:
        """Post what differs, with its effect on the payment, the session and the payout. Safe to repeat.

        The payment's row is locked, so nothing is posted between the check of the ledger and the correction.
        """
        order = message.order
        async with transaction(self._engine) as session:
            booking = await session.get_one(BookingRequest, order.booking_id, with_for_update=True)
            payment = await session.get(Payment, booking.id, with_for_update=True)
            drifts = await _open_drifts(session, booking.id)
            if payment is None or (refusal := await _refusal(session, booking, drifts, message)):
                return AdjustmentView(refusal=refusal if payment else _NO_DRIFT)
            parties = postings.Parties(booking_id=booking.id, instructor_id=booking.instructor_id)
            fee = Money(amount_minor=payment.platform_fee_minor, currency=payment.currency)
            subject = f"{order.drift_id}/{message.at.isoformat()}"
            owed = await ledger.owed_to_student(session, booking.id, payment.currency)
            adjusted = adjustment(parties, subject, message.differences, fee, owed)
            view = AdjustmentView(lines=adjusted.posting.entries, drift_ids=tuple(each.id for each in drifts))
            if not order.is_preview:
                await _apply(session, booking, payment, drifts, adjusted, message)
            return view


_NO_DRIFT = "The drift is not an open one of this booking."


async def _open_drifts(session: AsyncSession, booking_id: UUID) -> Sequence[Drift]:
    is_open = (
        col(Drift.booking_id) == booking_id,
        col(Drift.kind) == DriftKind.BOOKING,
        col(Drift.resolved_at).is_(None),
    )
    return (await session.exec(select(Drift).where(*is_open).order_by(col(Drift.id)).with_for_update())).all()


async def _refusal(
    session: AsyncSession, booking: BookingRequest, drifts: Sequence[Drift], message: RecordAdjustment
) -> str | None:
    if booking.status in HOLDS_SLOT:
        return "The booking is open: its own steps move the money."
    if message.order.drift_id not in {drift.id for drift in drifts}:
        return _NO_DRIFT
    if not message.differences:
        return "The ledger is what Stripe has by now. The next reconciliation resolves the drift."
    amounts = await ledger_amounts(session, booking.id, booking.currency)
    if any(amounts[each.book] != each.ledger for each in message.differences):
        return "The ledger has changed meanwhile; ask again."
    return None


async def _apply(
    session: AsyncSession,
    booking: BookingRequest,
    payment: Payment,
    drifts: Sequence[Drift],
    adjusted: Adjustment,
    message: RecordAdjustment,
) -> None:
    posted = adjusted.posting
    lines = {entry.account.value: entry.amount.amount_minor for entry in posted.entries}
    detail = {"drift_ids": [str(drift.id) for drift in drifts], "lines": lines, "currency": payment.currency}
    event = audit.event(
        booking.id, "booking.adjusted", message.order.actor, Channel.API, message.at, detail, posted.subject
    )
    if not await audit.append(session, event):
        return
    await ledger.post(session, message.at, posted)
    await payment_records.deduct(session, payment, adjusted.borne, message.at)
    for drift in drifts:
        drift.resolved_at = message.at
        drift.adjusted_at = message.at
    await attention.refresh(session, booking, message.at)
