"""The facts of a disputed booking. An activity reads and submits them, so that none enters a workflow history."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select

from activities.database.transactions import transaction
from models.domain.attendance import AttendanceKind, AttendanceReport, attendance
from models.domain.dispute_evidence import EvidenceInput, TimelineEntry
from models.domain.money import Money
from models.domain.policy import BookingPolicy
from models.tables.audit import AuditEvent
from models.tables.bookings import AttendanceEvent, BookingRequest
from models.tables.disputes import PolicyAcceptance
from models.tables.outbox import OutboxMessage
from models.tables.payments import Payment
from models.tables.people import Instructor, Student

_ATTENDANCE_TEXTS = {
    AttendanceKind.JOINED: "{role} joined the meeting",
    AttendanceKind.LEFT: "{role} left the meeting",
    AttendanceKind.RECORDING_UPLOADED: "a recording of the meeting was uploaded",
}


async def load_case_facts(engine: AsyncEngine, booking_id: UUID) -> EvidenceInput:
    """The booking, its people, and a timeline of its audit events, attendance reports and sent mails."""
    async with transaction(engine) as session:
        rows = await session.exec(
            select(BookingRequest, Student, Instructor)
            .join(Student, col(Student.id) == col(BookingRequest.student_id))
            .join(Instructor, col(Instructor.id) == col(BookingRequest.instructor_id))
            .where(col(BookingRequest.id) == booking_id)
        )
        booking, student, instructor = rows.one()
        payment = await session.get_one(Payment, booking_id)
        acceptance = await session.get(PolicyAcceptance, booking_id)
        audit_events = await session.exec(
            select(AuditEvent).where(col(AuditEvent.booking_id) == booking_id).order_by(col(AuditEvent.seq))
        )
        happenings = [TimelineEntry(at=row.at, what=f"{row.action} by {row.actor_role}") for row in audit_events]
        reports = await session.exec(select(AttendanceEvent).where(col(AttendanceEvent.booking_id) == booking_id))
        sightings = [AttendanceReport.model_validate(report, from_attributes=True) for report in reports]
        happenings += [
            TimelineEntry(at=seen.at, what=_ATTENDANCE_TEXTS[seen.kind].format(role=seen.role)) for seen in sightings
        ]
        mails = await session.exec(
            select(OutboxMessage).where(
                col(OutboxMessage.booking_id) == booking_id, col(OutboxMessage.sent_at).is_not(None)
            )
        )
        happenings += [
            TimelineEntry(at=mail.sent_at, what=f"mail to the {mail.recipient_role}: {mail.kind}")
            for mail in mails
            if mail.sent_at
        ]
    return EvidenceInput(
        booking=str(booking.id),
        title=booking.title,
        student_name=student.name,
        student_email=student.email,
        instructor_name=instructor.name,
        starts_at=booking.starts_at,
        ends_at=booking.ends_at,
        price=Money(amount_minor=booking.price_minor, currency=booking.currency),
        kept=Money(amount_minor=payment.captured_minor, currency=payment.currency),
        policy=BookingPolicy.model_validate(booking.policy),
        booked_at=booking.created_at,
        student_ip=acceptance.ip_address if acceptance else None,
        accepted_at=acceptance.at if acceptance else None,
        attendance=attendance(sightings, booking.starts_at, booking.ends_at, booking.ends_at) if sightings else None,
        timeline=sorted(happenings, key=lambda each: each.at),
    )
