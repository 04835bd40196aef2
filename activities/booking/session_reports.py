"""Reports on a session: recorded, sent to the other side, answered, and judged by the meeting's record."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.booking.payment_records import advance_unless_there
from activities.database import audit, outbox
from activities.database.transactions import transaction
from models.domain.actors import PLATFORM, SignUpRole
from models.domain.attendance import AttendanceReport, attendance
from models.domain.messages import Channel
from models.domain.notifications import ON_NO_SHOW_REPORTED, Notification, notifications_for
from models.domain.session_reports import JudgeSession, RecordAnswer, RecordReport, Verdict, verdict
from models.domain.states import HOLDS_SLOT, SessionStatus
from models.tables.audit import AuditEvent
from models.tables.bookings import AttendanceEvent, BookingRequest, LiveSession
from models.tables.session_reports import SessionReport


async def record(engine: AsyncEngine, message: RecordReport) -> None:
    """Record the report, and tell both sides what happens next, and when."""
    until, absent = message.answer_until, message.absent
    action = "booking.no_show_reported" if absent else "booking.completion_reported"
    detail = {"until": until.isoformat()} | ({"absent": absent} if absent else {})
    reported = audit.event(message.booking_id, action, message.actor, message.channel, message.at, detail)
    async with transaction(engine) as session:
        booking = await audit.lock_for(session, reported)
        if booking is None:
            return
        session.add(
            SessionReport(
                booking_id=booking.id,
                absent=absent,
                reported_by=SignUpRole(message.actor.role),
                reported_at=message.at,
                answer_until=until,
            )
        )
        booking.next_deadline_at = until
        booking.updated_at = message.at
        notifications = ON_NO_SHOW_REPORTED if absent else await _report_completion(session, booking, message.at)
        await outbox.delete_reminders(session, booking.id)
        if until > message.at:
            await outbox.notify(session, booking, notifications, message.at, detail)


async def record_answer(engine: AsyncEngine, message: RecordAnswer) -> None:
    async with transaction(engine) as session:
        report = await session.get_one(SessionReport, message.booking_id, with_for_update=True)
        action = "booking.no_show_contested" if report.absent else "booking.completion_objected"
        answered = audit.event(message.booking_id, action, message.actor, message.channel, message.at)
        booking = await audit.lock_for(session, answered)
        if booking is None:
            return
        report.answered_at = message.at
        booking.next_deadline_at = message.judged_at
        booking.updated_at = message.at


async def judge(engine: AsyncEngine, message: JudgeSession) -> Verdict:
    """What the meeting's record shows up to `message.at`."""
    terms = message.terms
    async with transaction(engine) as session:
        by_booking = select(AttendanceEvent).where(col(AttendanceEvent.booking_id) == terms.booking_id)
        sightings = [
            AttendanceReport.model_validate(row.model_dump(include=set(AttendanceReport.model_fields)))
            for row in await session.exec(by_booking)
        ]
        attended = attendance(sightings, terms.starts_at, terms.ends_at, message.at)
        found = verdict(attended, terms.policy, terms.ends_at - terms.starts_at)
        seconds = {
            "student_seconds": _seconds(attended.student.total),
            "instructor_seconds": _seconds(attended.instructor.total),
            "together_seconds": _seconds(attended.together),
        }
        return await record_verdict(session, message, found, seconds)


async def record_verdict(
    session: AsyncSession, message: JudgeSession, found: Verdict, seconds: Mapping[str, int]
) -> Verdict:
    """Returns the one that was recorded first."""
    booking_id = message.terms.booking_id
    judged = audit.event(
        booking_id,
        "booking.session_judged",
        PLATFORM,
        Channel.WORKFLOW,
        message.at,
        {"verdict": found, **seconds},
        occasion=message.at.isoformat(),
    )
    booking = await session.get(BookingRequest, booking_id, with_for_update=True)
    if booking is None or booking.status not in HOLDS_SLOT:
        # Only a workflow that was reset asks after the end, and nothing follows from the answer.
        return found
    if await audit.lock_for(session, judged) is None:
        # Judged before, and the result was lost: return it as it was. Later attendance is for another call.
        before = await session.get_one(AuditEvent, judged.id)
        return Verdict(before.detail["verdict"])
    await session.exec(update(SessionReport).where(col(SessionReport.booking_id) == booking_id).values(verdict=found))
    return found


async def move_deadline(session: AsyncSession, booking_id: UUID, until: datetime) -> None:
    """Move the deadline to answer, as an operator ordered. A report that was answered already keeps its own."""
    is_unanswered = (col(SessionReport.booking_id) == booking_id, col(SessionReport.answered_at).is_(None))
    await session.exec(update(SessionReport).where(*is_unanswered).values(answer_until=until))


async def _report_completion(session: AsyncSession, booking: BookingRequest, at: datetime) -> tuple[Notification, ...]:
    live_session = await session.get_one(LiveSession, booking.id, with_for_update=True)
    before = live_session.status
    live_session.status = advance_unless_there(before, SessionStatus.COMPLETION_REPORTED)
    live_session.updated_at = at
    return notifications_for(before, live_session.status)


def _seconds(time: timedelta) -> int:
    return time // timedelta(seconds=1)
