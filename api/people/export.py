"""What is stored about a person, in one response: an operator answers an access request with it."""

from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter
from sqlalchemy import ColumnElement
from sqlmodel import SQLModel, and_, col, or_, select

from api.http.auth import AsOperator
from api.http.database import WithDatabase
from api.http.problems import Kind, Problem, problem_responses
from api.http.rate_limits import DOCUMENTS, limited_by
from api.http.schema_types import ResponseModel
from models.domain.actors import SignUpRole, Subject
from models.tables.audit import AuditEvent, event_about
from models.tables.blocked_times import BlockedTime, InstructorCalendar
from models.tables.bookings import AttendanceEvent, BookingRequest, LiveSession
from models.tables.catalogue import Offering
from models.tables.credentials import Credential
from models.tables.disputes import Dispute, PolicyAcceptance
from models.tables.outbox import OutboxMessage
from models.tables.payments import InstructorPayout, Payment
from models.tables.people import Instructor, Student
from models.tables.refunds import Refund
from models.tables.service_tokens import ServiceToken
from models.tables.session_reports import SessionReport

router = APIRouter(prefix="/v1/operator/people", tags=["operator"])

_WITHHELD: Final = {
    *("password_hash", "token_hash"),
    # Whoever has one of these can use it.
    *("checkout_url", "onboarding_url", "room", "url"),
    # Of no person.
    *("digest", "traceparent"),
}
"""Columns that are in no export."""


class PersonExport(ResponseModel):
    id: UUID
    """The person."""
    exported_at: datetime
    """When the records were read."""
    records: dict[str, list[dict[str, Any]]]
    """The rows about the person as they are stored, by table. Without secrets, and without links that let anyone in."""


@router.get(
    "/{person_id}/export",
    operation_id="exportPerson",
    dependencies=[limited_by(DOCUMENTS)],
    responses=problem_responses(
        Kind.NOT_SIGNED_IN, Kind.WRONG_ROLE, Kind.NOT_FOUND, Kind.REQUEST_INVALID, Kind.INTERNAL, Kind.UNAVAILABLE
    ),
)
async def export_person(person_id: UUID, operator: AsOperator, database: WithDatabase) -> PersonExport:
    """All that is stored about a person, in both roles. Of a booking, only the person's own side.

    The audit trail says who exported it.
    """
    now = datetime.now(UTC)
    records = {}
    async with database.writing() as session:
        for table, is_about in _about(person_id).items():
            rows = await session.exec(select(table).where(is_about))
            if found := [row.model_dump(mode="json", exclude=_WITHHELD) for row in rows]:
                records[str(table.__tablename__)] = found
        if not records.keys() & {Student.__tablename__, Instructor.__tablename__}:
            raise Problem(Kind.NOT_FOUND, "There is no such student or instructor.")
        about = (Subject.PERSON, person_id, "person.exported", operator.actor, operator.channel, now)
        session.add(event_about(*about, occasion=now.isoformat()))
    return PersonExport(id=person_id, exported_at=now, records=records)


def _about(person_id: UUID) -> dict[type[SQLModel], ColumnElement[bool]]:
    """Which rows of which tables are about the person. Each condition has an index."""
    is_student, is_instructor = (
        col(BookingRequest.student_id) == person_id,
        col(BookingRequest.instructor_id) == person_id,
    )
    booked = select(BookingRequest.id).where(is_student)
    taught = select(BookingRequest.id).where(is_instructor)
    either = select(BookingRequest.id).where(or_(is_student, is_instructor))
    attended, event = col(AttendanceEvent.booking_id), col(AttendanceEvent.role)
    return {
        Student: col(Student.id) == person_id,
        Instructor: col(Instructor.id) == person_id,
        Credential: col(Credential.person_id) == person_id,
        ServiceToken: col(ServiceToken.person_id) == person_id,
        Offering: col(Offering.instructor_id) == person_id,
        InstructorCalendar: col(InstructorCalendar.instructor_id) == person_id,
        BlockedTime: col(BlockedTime.instructor_id) == person_id,
        BookingRequest: or_(is_student, is_instructor),
        LiveSession: col(LiveSession.booking_id).in_(either),
        Payment: col(Payment.booking_id).in_(booked),
        Refund: col(Refund.booking_id).in_(booked),
        Dispute: col(Dispute.booking_id).in_(booked),
        PolicyAcceptance: col(PolicyAcceptance.booking_id).in_(booked),
        InstructorPayout: col(InstructorPayout.instructor_id) == person_id,
        SessionReport: col(SessionReport.booking_id).in_(either),
        AttendanceEvent: or_(
            and_(attended.in_(booked), event == SignUpRole.STUDENT),
            and_(attended.in_(taught), event == SignUpRole.INSTRUCTOR),
        ),
        OutboxMessage: and_(col(OutboxMessage.booking_id).in_(either), col(OutboxMessage.recipient_id) == person_id),
        AuditEvent: or_(
            col(AuditEvent.subject_id) == person_id,
            and_(col(AuditEvent.booking_id).in_(either), col(AuditEvent.actor_id) == person_id),
        ),
    }
