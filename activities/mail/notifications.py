"""The content of a mail, read from the records when it is sent."""

from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.mail.accounts import about_account
from activities.mail.attention import about_attention
from activities.mail.bookings import BookingRecords, about_booking, has_receipt
from activities.mail.content import MailContent, MailDiscarded
from activities.mail.payouts import about_payout
from models.documents.receipt import Receipt
from models.domain.notifications import (
    ABOUT_PAYOUTS,
    ABOUT_THE_ACCOUNT,
    NotificationKind,
    Recipient,
    is_still_true,
)
from models.domain.proposals import ProposalStatus
from models.domain.states import RefundStatus
from models.receipts import Line, Names, lines_of, receipt
from models.tables.bookings import BookingRequest, LiveSession, RescheduleProposal
from models.tables.outbox import OutboxMessage
from models.tables.payments import Payment, PaymentRenewal
from models.tables.people import Instructor, Student
from models.tables.refunds import Refund
from models.tables.session_reports import SessionReport

_BOOKING: Final = (
    select(BookingRequest, PaymentRenewal)
    .outerjoin(PaymentRenewal, col(PaymentRenewal.booking_id) == col(BookingRequest.id))
    .where(col(BookingRequest.id) == bindparam("booking_id"))
)
_RECORDS: Final = (
    select(Student, Instructor, LiveSession, Payment)
    .select_from(Student)
    .join(Instructor, col(Instructor.id) == bindparam("instructor_id"))
    .outerjoin(LiveSession, col(LiveSession.booking_id) == bindparam("booking_id"))
    .outerjoin(Payment, col(Payment.booking_id) == bindparam("booking_id"))
    .where(col(Student.id) == bindparam("student_id"))
)
"""Of a booking whose request may be deleted."""


async def load(
    session: AsyncSession,
    message: OutboxMessage,
    public_url: str,
    now: datetime,
    operators: str | None = None,
    *,
    has_pages: bool = False,
) -> MailContent:
    """The content of the outbox message's mail. `operators` is their address. Raises `MailDiscarded`."""
    if message.kind is NotificationKind.OPERATOR_DIGEST:
        return about_attention(message, operators)
    if message.kind in ABOUT_PAYOUTS:
        return await about_payout(session, message)
    if message.kind in ABOUT_THE_ACCOUNT:
        return await about_account(session, message, public_url, now)
    row = (await session.exec(_BOOKING, params={"booking_id": message.booking_id})).first()
    booking, renewal = row or (None, None)
    if booking is None and "booking" in message.facts:
        booking = BookingRequest.model_validate(message.facts["booking"])
    if booking is None:
        raise MailDiscarded("no_booking")
    if not is_still_true(message.kind, booking.status, booking.starts_at, booking.ends_at, now):
        raise MailDiscarded("out_of_date")
    ids = {"booking_id": booking.id, "student_id": booking.student_id, "instructor_id": booking.instructor_id}
    records_row = (await session.exec(_RECORDS, params=ids)).first()
    if records_row is None:
        raise MailDiscarded("no_recipient")
    student, instructor, live_session, payment = records_row
    refund = await session.get(Refund, UUID(message.facts["refund_id"])) if "refund_id" in message.facts else None
    records = BookingRecords(booking, student, instructor, live_session, payment, refund, renewal)
    if await _is_superseded(session, message, records, now):
        raise MailDiscarded("out_of_date")
    content = about_booking(message, records, public_url, has_pages)
    if not has_receipt(message, records):
        return content
    return replace(content, receipt=await _receipt(session, records))


async def _is_superseded(session: AsyncSession, message: OutboxMessage, records: BookingRecords, now: datetime) -> bool:
    """Whether what the mail is about has changed since: the time, the proposal, the report, the refund or the page."""
    booking, refund, renewal = records.booking, records.refund, records.renewal
    match message.kind:
        case NotificationKind.RESCHEDULED:
            return datetime.fromisoformat(message.facts["starts_at"]) != booking.starts_at
        case NotificationKind.RESCHEDULE_PROPOSED:
            proposal = await session.get(RescheduleProposal, UUID(message.facts["proposal_id"]))
            return proposal is None or proposal.status is not ProposalStatus.OPEN
        case NotificationKind.NO_SHOW_REPORTED | NotificationKind.COMPLETION_REPORTED:
            report = await session.get(SessionReport, booking.id)
            return report is not None and report.answered_at is not None
        case NotificationKind.PAYMENT_RENEWAL:
            if renewal is None or renewal.closed_at is not None or now >= renewal.pay_by:
                return True
            # A later page has replaced the one that the student was asked to pay on.
            return message.recipient_role is Recipient.STUDENT and message.created_at != renewal.requested_at
        case NotificationKind.REFUNDED:
            to_student = message.recipient_role is Recipient.STUDENT
            return to_student and refund is not None and refund.status is RefundStatus.FAILED
        case NotificationKind.REFUND_FAILED:
            return refund is not None and refund.status is not RefundStatus.FAILED
    return False


async def _receipt(session: AsyncSession, records: BookingRecords) -> Receipt | None:
    """The same receipt as the API serves."""
    student = records.student
    names = Names(student.name, student.time_zone, student.language, records.instructor.name)
    lines = (await session.exec(lines_of(records.booking.id))).all()
    return receipt(records.booking, names, (Line(*line) for line in lines))
