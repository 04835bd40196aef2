"""No-show reports: recorded, sent to the other side, and if contested, checked against the meeting's attendance."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.database import audit, outbox
from activities.database.transactions import transaction
from models.domain.actors import PLATFORM, SignUpRole
from models.domain.attendance import AttendanceReport, attendance
from models.domain.messages import Channel
from models.domain.no_shows import JudgeNoShow, NoShowVerdict, RecordNoShow, verdict
from models.domain.notifications import ON_NO_SHOW_REPORTED, Recipient
from models.tables.bookings import AttendanceEvent
from models.tables.no_shows import NoShowReport


async def record(engine: AsyncEngine, message: RecordNoShow) -> None:
    """Record the report, and notify the reported party of the deadline to contest it."""
    report, until = message.report, message.contest_until
    detail = {"absent": report.absent, "contest_until": until.isoformat()}
    reported = audit.event(
        message.booking_id, "booking.no_show_reported", report.actor, report.channel, message.at, detail
    )
    async with transaction(engine) as session:
        booking = await audit.lock_for(session, reported)
        if booking is None:
            return
        session.add(
            NoShowReport(
                booking_id=booking.id,
                absent=report.absent,
                reported_by=SignUpRole(report.actor.role),
                reported_at=message.at,
                contest_until=until,
            )
        )
        booking.next_deadline_at = until
        booking.updated_at = message.at
        await outbox.delete_reminders(session, booking.id)
        notifications = [each for each in ON_NO_SHOW_REPORTED if each.recipient is Recipient(report.absent)]
        await outbox.notify(session, booking, notifications, message.at, {"until": until.isoformat()})


async def judge(engine: AsyncEngine, message: JudgeNoShow) -> NoShowVerdict:
    """The verdict of the meeting's attendance up to `message.at`. The first call records the contest too."""
    terms, contest = message.terms, message.contest
    contested = audit.event(terms.booking_id, "booking.no_show_contested", contest.actor, contest.channel, message.at)
    async with transaction(engine) as session:
        report = await session.get_one(NoShowReport, terms.booking_id, with_for_update=True)
        by_booking = select(AttendanceEvent).where(col(AttendanceEvent.booking_id) == terms.booking_id)
        sightings = [
            AttendanceReport.model_validate(row.model_dump(include=set(AttendanceReport.model_fields)))
            for row in await session.exec(by_booking)
        ]
        attended = attendance(sightings, terms.starts_at, terms.ends_at, message.at)
        judgement = verdict(attended, message.report, terms, message.at)
        detail = {
            "verdict": judgement,
            "student_seconds": _seconds(attended.student.total),
            "instructor_seconds": _seconds(attended.instructor.total),
            "together_seconds": _seconds(attended.together),
        }
        judged = audit.event(
            terms.booking_id,
            "booking.no_show_judged",
            PLATFORM,
            Channel.WORKFLOW,
            message.at,
            detail,
            occasion=message.at.isoformat(),
        )
        booking = await audit.lock_for(session, judged)
        if booking is None:
            # Judged before, and the result was lost: return it as it was. Later attendance is for another call.
            assert report.verdict is not None
            return report.verdict
        if await audit.append(session, contested):
            report.contested_at = message.at
        report.verdict = judgement
        if judgement is NoShowVerdict.UNCLEAR:
            booking.next_deadline_at = message.deadline_at
        booking.updated_at = message.at
    return judgement


async def move_deadline(session: AsyncSession, booking_id: UUID, until: datetime) -> None:
    """Move the deadline to contest, as an operator ordered. A report that was contested already keeps its own."""
    is_uncontested = (col(NoShowReport.booking_id) == booking_id, col(NoShowReport.contested_at).is_(None))
    await session.exec(update(NoShowReport).where(*is_uncontested).values(contest_until=until))


def _seconds(time: timedelta) -> int:
    return time // timedelta(seconds=1)
