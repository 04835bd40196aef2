"""Why an ended booking needs attention, derived from the records: a reason ends when they no longer give it.

A parked workflow, a write that fails and a fraud warning state their own reason, which is left alone here. When it
ends, the derived one is shown.
"""

from datetime import datetime

from sqlalchemy import or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.database import audit, ledger
from models.domain.actors import PLATFORM
from models.domain.messages import Channel
from models.domain.money import Money
from models.domain.reconciliation import ATTENTION_PREFIX, DriftKind
from models.domain.refunds import WAITS_FOR_BALANCE
from models.domain.states import RefundStatus
from models.tables.bookings import BookingRequest
from models.tables.disputes import Dispute
from models.tables.reconciliation import Drift
from models.tables.refunds import Refund

_REFUND, _DISPUTE, _DRIFT = "The refund ", "Stripe did not take the answer to the dispute ", ATTENTION_PREFIX


def dispute_reason(dispute_id: str) -> str:
    return f"{_DISPUTE}{dispute_id}"


async def end(session: AsyncSession, booking: BookingRequest, at: datetime) -> None:
    """End a stated reason, and show the derived one, if there is any. The caller has locked the booking."""
    booking.end_attention(at)
    await refresh(session, booking, at)


async def refresh(session: AsyncSession, booking: BookingRequest, at: datetime) -> None:
    """Set, replace or clear the derived reason. The caller has locked the booking."""
    current = booking.attention_reason
    if current and not current.startswith((_REFUND, _DISPUTE, _DRIFT)):
        return
    reason = (
        await _owed(session, booking)
        or await _stuck(session, booking)
        or await _disputed(session, current)
        or await _drifting(session, booking)
    )
    if reason == current:
        return
    if reason:
        booking.call_attention(reason, at)
    else:
        booking.end_attention(at)
    changed = audit.event(
        booking.id,
        "booking.needs_attention" if reason else "booking.attention_cleared",
        PLATFORM,
        Channel.WORKFLOW,
        at,
        {"reason": reason} if reason else None,
        occasion=f"{at.isoformat()}/{reason or ''}",
    )
    await audit.append(session, changed)


async def _owed(session: AsyncSession, booking: BookingRequest) -> str | None:
    """A refund that the student's bank returned, as long as nothing else has paid it."""
    failed = (
        select(Refund)
        .where(col(Refund.booking_id) == booking.id, col(Refund.status) == RefundStatus.FAILED)
        .where(col(Refund.failure_reason).is_not(None))  # An operator has it retried.
        .order_by(col(Refund.updated_at).desc())
    )
    refund = (await session.exec(failed)).first()
    if refund is None:
        return None
    owed = await ledger.owed_to_student(session, booking.id, booking.currency)
    if not owed:
        return None
    owed = min(owed, Money(amount_minor=refund.amount_minor, currency=refund.currency))
    return f"{_REFUND}{refund.id} failed ({refund.failure_reason}): the student is owed {owed.format()}"


async def _stuck(session: AsyncSession, booking: BookingRequest) -> str | None:
    """A pending refund that waits for funds on the platform's balance, or that Stripe does not know any more."""
    is_stuck = or_(col(Refund.pending_reason) == WAITS_FOR_BALANCE, col(Refund.failure_reason).is_not(None))
    pending = select(Refund).where(
        col(Refund.booking_id) == booking.id, col(Refund.status) == RefundStatus.PENDING, is_stuck
    )
    refund = (await session.exec(pending)).first()
    if refund is None:
        return None
    amount = Money(amount_minor=refund.amount_minor, currency=refund.currency).format()
    if refund.failure_reason:
        return f"{_REFUND}{refund.id} of {amount} cannot be followed: {refund.failure_reason}"
    return f"{_REFUND}{refund.id} waits for funds on the platform's balance at Stripe"


async def _disputed(session: AsyncSession, current: str | None) -> str | None:
    """A dispute whose answer Stripe refused, as long as it is open."""
    if current is None or not current.startswith(_DISPUTE):
        return None
    dispute = await session.get(Dispute, current.removeprefix(_DISPUTE))
    return current if dispute is not None and dispute.closed_at is None else None


async def _drifting(session: AsyncSession, booking: BookingRequest) -> str | None:
    """An open drift of the booking: that no workflow carries it on, else the first."""
    of_booking = (
        select(Drift)
        .where(col(Drift.booking_id) == booking.id, col(Drift.resolved_at).is_(None))
        .order_by(col(Drift.kind) != DriftKind.ORPHANED, col(Drift.found_at), col(Drift.id))
    )
    drift = (await session.exec(of_booking)).first()
    if drift is None:
        return None
    if drift.detail:
        return _DRIFT + drift.detail
    in_ledger = Money(amount_minor=drift.ledger_minor, currency=drift.currency).format()
    at_stripe = Money(amount_minor=drift.stripe_minor, currency=drift.currency).format()
    return f"{_DRIFT}{drift.book} is {in_ledger} in the ledger and {at_stripe} at Stripe"
