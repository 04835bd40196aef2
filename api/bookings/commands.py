"""Rows that the API writes directly. All other changes to a booking are written by its workflow's activities."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession

from api.http.auth import Caller
from models.domain.actors import Subject
from models.domain.fraud_warnings import DISMISSED, WARNED
from models.domain.states import BookingStatus
from models.tables.audit import AuditEvent, event_about
from models.tables.bookings import BookingRequest
from models.tables.disputes import PolicyAcceptance
from models.tables.refunds import Refund
from models.tables.session_reports import SessionReport


async def save_rejection_reason(
    session: AsyncSession, booking_id: UUID, reason: str, by: Caller, now: datetime
) -> None:
    """Save the reason on a booking that is still undecided. It is shown once the booking is rejected."""
    undecided = (col(BookingRequest.id) == booking_id, col(BookingRequest.status) == BookingStatus.PENDING)
    saved = await session.exec(update(BookingRequest).where(*undecided).values(rejection_reason=reason))
    if saved.rowcount:
        action = "booking.rejection_reason_kept"
        session.add(
            event_about(Subject.BOOKING, booking_id, action, by.actor, by.channel, now, occasion=now.isoformat())
        )


async def save_objection_reason(
    session: AsyncSession, booking_id: UUID, reason: str, by: Caller, now: datetime
) -> None:
    """Save the reason on a reported completion that is unanswered. It is shown once the objection is accepted."""
    open_report = (
        col(SessionReport.booking_id) == booking_id,
        col(SessionReport.absent).is_(None),
        col(SessionReport.answered_at).is_(None),
    )
    saved = await session.exec(update(SessionReport).where(*open_report).values(objection_reason=reason))
    if saved.rowcount:
        action = "booking.objection_reason_kept"
        session.add(
            event_about(Subject.BOOKING, booking_id, action, by.actor, by.channel, now, occasion=now.isoformat())
        )


async def save_settlement_reason(
    session: AsyncSession, booking_id: UUID, reason: str, by: Caller, now: datetime
) -> None:
    """Why an operator settles, which the audit trail keeps. The settlement itself may still be refused.

    A repeated request has the same reason, which is kept once.
    """
    action, detail, occasion = "booking.settlement_reason_kept", {"reason": reason}, f"{by.id} {reason}"
    event = event_about(Subject.BOOKING, booking_id, action, by.actor, by.channel, now, detail, occasion)
    await session.exec(insert(AuditEvent).values(event.model_dump(exclude={"seq"})).on_conflict_do_nothing())


async def save_refund(session: AsyncSession, refund: Refund, by: Caller, now: datetime) -> Refund:
    """Save a refund order once. Returns the row that was saved first, which can differ from `refund`."""
    inserted = await session.exec(
        insert(Refund).values(refund.model_dump()).on_conflict_do_nothing().returning(col(Refund.id))
    )
    if inserted.first() is not None:
        detail = {"refund_id": str(refund.id), "amount_minor": refund.amount_minor, "borne_by": refund.borne_by}
        action, occasion = "booking.refund_ordered", str(refund.id)
        session.add(
            event_about(Subject.BOOKING, refund.booking_id, action, by.actor, by.channel, now, detail, occasion)
        )
    return await session.get_one(Refund, refund.id)


async def dismiss_fraud_warnings(
    session: AsyncSession, booking_id: UUID, reason: str, by: Caller, now: datetime
) -> list[str]:
    """Dismiss the booking's fraud warnings, each once. Returns the ids of all of them."""
    of_booking = (col(AuditEvent.booking_id) == booking_id, col(AuditEvent.action) == WARNED)
    warned = await session.exec(select(AuditEvent.detail).where(*of_booking).order_by(col(AuditEvent.seq)))
    warning_ids = [detail["warning_id"] for detail in warned]
    dismissed = [
        event_about(
            Subject.BOOKING, booking_id, DISMISSED, by.actor, by.channel, now, {"warning_id": id, "reason": reason}, id
        ).model_dump(exclude={"seq"})
        for id in warning_ids
    ]
    if dismissed:
        await session.exec(insert(AuditEvent).values(dismissed).on_conflict_do_nothing())
    return warning_ids


async def record_acceptance(
    session: AsyncSession, booking_id: UUID, ip_address: str, user_agent: str, now: datetime
) -> None:
    """Record where price and policy were first accepted from: evidence if the cardholder disputes the charge."""
    acceptance = PolicyAcceptance(booking_id=booking_id, ip_address=ip_address, user_agent=user_agent, at=now)
    await session.exec(insert(PolicyAcceptance).values(acceptance.model_dump()).on_conflict_do_nothing())
