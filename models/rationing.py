"""What counts against a student who books: read from bookings, audit events and Stripe's events, not counted apart."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal_column, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.endings import EndReason
from models.domain.policy import LONGEST_CHECKOUT
from models.domain.rationing import PERIOD, Lapse, OpenBooking, Standing
from models.domain.states import HOLDS_SLOT, BookingStatus
from models.tables.audit import AuditEvent
from models.tables.bookings import BookingRequest
from models.tables.payments import Payment
from models.tables.stripe_events import StripeEventRecord

# Literals, exactly as in the partial indexes.
_HOLDS_SLOT: list[ColumnElement[str]] = [literal_column(f"'{status}'") for status in sorted(HOLDS_SLOT)]
_RESERVED: ColumnElement[str] = literal_column("'booking.reserved'")
_DECLINED: ColumnElement[str] = literal_column("'payment_intent.payment_failed'")
_ENDED_FOR: ColumnElement[Any] = literal_column("detail ->> 'student_id'")
_REASON: ColumnElement[Any] = literal_column("detail ->> 'reason'")
_LAPSED = (EndReason.CHECKOUT_EXPIRED, EndReason.CANCELLED)
"""Not a declined card, which is counted for itself, nor what the student cannot help."""


async def standing(
    session: AsyncSession,
    student_id: UUID,
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
    but_for: UUID,
) -> Standing:
    """The student's standing for a session at that time. The booking `but_for`, the one to be made, is left out."""
    is_unpaid = (col(BookingRequest.status) == BookingStatus.PENDING) & col(Payment.booking_id).is_(None)
    overlaps = (col(BookingRequest.starts_at) < ends_at) & (col(BookingRequest.ends_at) > starts_at)
    open_bookings = (
        select(BookingRequest, is_unpaid)
        .outerjoin(Payment, col(Payment.booking_id) == col(BookingRequest.id))
        .where(
            col(BookingRequest.student_id) == student_id,
            col(BookingRequest.status).in_(_HOLDS_SLOT),
            col(BookingRequest.id) != but_for,
            or_(is_unpaid, overlaps),
        )
        .order_by(col(BookingRequest.next_deadline_at))
    )
    lapses = select(AuditEvent.detail, AuditEvent.at).where(
        str(student_id) == _ENDED_FOR, col(AuditEvent.at) > now - PERIOD, _REASON.in_(_LAPSED)
    )
    declines = (
        select(StripeEventRecord.at)
        .join(AuditEvent, col(AuditEvent.booking_id) == col(StripeEventRecord.booking_id))
        .where(
            col(AuditEvent.action) == _RESERVED,
            col(AuditEvent.actor_id) == student_id,
            # A card can be declined as long as its Checkout page is open.
            col(AuditEvent.at) > now - PERIOD - LONGEST_CHECKOUT,
            col(StripeEventRecord.type) == _DECLINED,
            col(StripeEventRecord.at) > now - PERIOD,
        )
    )
    return Standing(
        open=tuple(
            OpenBooking(
                booking_id=booking.id,
                instructor_id=booking.instructor_id,
                starts_at=booking.starts_at,
                ends_at=booking.ends_at,
                is_unpaid=unpaid,
                pay_until=booking.next_deadline_at if unpaid else None,
            )
            for booking, unpaid in await session.exec(open_bookings)
        ),
        lapses=tuple(Lapse(slot_id=UUID(detail["slot_id"]), at=at) for detail, at in await session.exec(lapses)),
        declined_at=tuple(await session.exec(declines)),
    )


async def lock_student(session: AsyncSession, student_id: UUID) -> None:
    """One reservation of a student at a time, until the transaction ends.

    An advisory lock, and not one on the student's row: other transactions update that row after a booking's, and would
    deadlock with a reservation that waits for that booking.
    """
    await session.exec(select(func.pg_advisory_xact_lock(func.hashtextextended(str(student_id), 0))))
