"""A reported no-show: written down, told to the other side, and held against the meeting's record when contested."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.database import audit, outbox
from activities.database.transactions import transaction
from models.domain.actors import PLATFORM, SignUpRole
from models.domain.attendance import Sighting, attendance
from models.domain.messages import Channel
from models.domain.no_shows import JudgeNoShow, NoShowVerdict, RecordNoShow, verdict
from models.domain.notifications import ON_NO_SHOW_REPORTED, Recipient
from models.tables.bookings import AttendanceEvent
from models.tables.no_shows import NoShowReport


async def keep(engine: AsyncEngine, message: RecordNoShow) -> None:
    """Who is said to have been absent is told until when they can contest it."""
    report, until = message.report, message.contest_until
    detail = {"absent": report.absent, "contest_until": until.isoformat()}
    told = audit.event(message.booking_id, "booking.no_show_reported", report.actor, report.channel, message.at, detail)
    async with transaction(engine) as session:
        booking = await audit.lock_for(session, told)
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
        await outbox.forget_reminders(session, booking.id)
        people = [each for each in ON_NO_SHOW_REPORTED if each.recipient is Recipient(report.absent)]
        await outbox.announce(session, booking, people, message.at, {"until": until.isoformat()})


async def judge(engine: AsyncEngine, message: JudgeNoShow) -> NoShowVerdict:
    """What the meeting's record shows at `message.at`. The contest itself is written down the first time."""
    terms, contest = message.terms, message.contest
    contested = audit.event(terms.booking_id, "booking.no_show_contested", contest.actor, contest.channel, message.at)
    async with transaction(engine) as session:
        report = await session.get_one(NoShowReport, terms.booking_id, with_for_update=True)
        of_session = select(AttendanceEvent).where(col(AttendanceEvent.booking_id) == terms.booking_id)
        sightings = [
            Sighting.model_validate(row.model_dump(include=set(Sighting.model_fields)))
            for row in await session.exec(of_session)
        ]
        found = attendance(sightings, terms.starts_at, terms.ends_at, message.at)
        seen = verdict(found, message.report, terms, message.at)
        detail = {
            "verdict": seen,
            "student_seconds": _seconds(found.student.total),
            "instructor_seconds": _seconds(found.instructor.total),
            "together_seconds": _seconds(found.together),
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
            # Judged before, and the answer was lost: later reports of the meeting's are for another look.
            assert report.verdict is not None
            return report.verdict
        if await audit.append(session, contested):
            report.contested_at = message.at
        report.verdict = seen
        if seen is NoShowVerdict.UNCLEAR:
            booking.next_deadline_at = message.deadline_at
        booking.updated_at = message.at
    return seen


async def move_deadline(session: AsyncSession, booking_id: UUID, until: datetime) -> None:
    """An operator gives the other side more time, or less."""
    waiting = (col(NoShowReport.booking_id) == booking_id, col(NoShowReport.contested_at).is_(None))
    await session.exec(update(NoShowReport).where(*waiting).values(contest_until=until))


def _seconds(time: timedelta) -> int:
    return time // timedelta(seconds=1)
