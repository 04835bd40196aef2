"""What one side reports of the session, what the meeting's record shows, and how the booking ends.

Nobody is paid the whole price on their own word against the record. `verdict` reads the record; `ending_after` weighs
it against the report and the other side's answer, and leaves to an operator what is not clear.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from models.domain import endings
from models.domain.actors import PLATFORM, AbsentParty, Actor, Role
from models.domain.attendance import Attendance
from models.domain.base import Value
from models.domain.endings import Ending
from models.domain.messages import Channel, Complete, ContestNoShow, Object, ReportNoShow
from models.domain.money import BASIS_POINTS
from models.domain.policy import BookingPolicy, CompletionTimeoutPolicy
from models.domain.terms import BookingTerms

Report = Complete | ReportNoShow
Answer = ContestNoShow | Object


class Verdict(StrEnum):
    """What the meeting's record shows of a session. Final from the session's end on."""

    TOOK_PLACE = "TOOK_PLACE"
    """Both were there together for `joint_presence_bps` of the planned length."""
    CUT_SHORT = "CUT_SHORT"
    """They were together, but for less."""
    APART = "APART"
    """Both came, but the record does not have them together."""
    STUDENT_ABSENT = "STUDENT_ABSENT"
    """The instructor waited for `no_show_min_wait`; the student never came."""
    WAIT_TOO_SHORT = "WAIT_TOO_SHORT"
    """Only the instructor came, and for less than that."""
    INSTRUCTOR_ABSENT = "INSTRUCTOR_ABSENT"
    """Only the student came."""
    NOTHING_RECORDED = "NOTHING_RECORDED"
    """Nobody came, or the provider reported nothing."""


UNDECIDED = "the two sides disagree, or the meeting's record contradicts the report without deciding"


class RecordReport(Value):
    booking_id: UUID
    actor: Actor
    channel: Channel
    absent: AbsentParty | None
    """Who is said not to have come; `None` if the session is said to have taken place."""
    answer_until: datetime
    at: datetime


class RecordAnswer(Value):
    booking_id: UUID
    actor: Actor
    channel: Channel
    judged_at: datetime
    """When the record is judged: at once, but not before the session's end."""
    at: datetime


class JudgeSession(Value):
    terms: BookingTerms
    at: datetime


def verdict(found: Attendance, policy: BookingPolicy, planned: timedelta) -> Verdict:
    """What the record shows of a session of the `planned` length."""
    if found.together and found.together * BASIS_POINTS >= planned * policy.joint_presence_bps:
        return Verdict.TOOK_PLACE
    if found.student.came and found.instructor.came:
        return Verdict.CUT_SHORT if found.together else Verdict.APART
    if found.student.came:
        return Verdict.INSTRUCTOR_ABSENT
    if found.instructor.came:
        enough = min(policy.no_show_min_wait, planned)
        return Verdict.STUDENT_ABSENT if found.instructor.total >= enough else Verdict.WAIT_TOO_SHORT
    return Verdict.NOTHING_RECORDED


def ending_after(found: Verdict, report: Report, answer: Answer | None, terms: BookingTerms) -> Ending | None:
    """How the booking ends, from the session's end on; `None` if an operator has to decide."""
    if absent := _shown_absent(found):
        is_as_reported = isinstance(report, ReportNoShow) and report.absent is absent
        return endings.no_show(terms, absent, report.actor if is_as_reported else PLATFORM)
    if found is Verdict.TOOK_PLACE:
        if isinstance(report, ReportNoShow):
            return endings.no_show_refuted(terms)
        return endings.completed(terms, report.actor if answer is None else PLATFORM)
    if answer is not None or _contradicts(found, report):
        return None
    if isinstance(report, ReportNoShow):
        return endings.no_show(terms, report.absent, report.actor)
    return endings.completed(terms, report.actor)


def ending_on_timeout(found: Verdict, terms: BookingTerms) -> Ending:
    """Nobody reported on the session by the deadline, or no operator decided in time."""
    settles = terms.policy.on_completion_timeout is CompletionTimeoutPolicy.SETTLE
    if settles and (absent := _shown_absent(found)):
        return endings.no_show(terms, absent, PLATFORM)
    return endings.completion_timed_out(terms)


def _shown_absent(found: Verdict) -> AbsentParty | None:
    return {Verdict.STUDENT_ABSENT: AbsentParty.STUDENT, Verdict.INSTRUCTOR_ABSENT: AbsentParty.INSTRUCTOR}.get(found)


def _contradicts(found: Verdict, report: Report) -> bool:
    """Whether an unclear record speaks against the report: who did not come cannot have been seen."""
    if isinstance(report, Complete):
        return found in (Verdict.APART, Verdict.WAIT_TOO_SHORT)
    both_were_seen = found in (Verdict.CUT_SHORT, Verdict.APART)
    return both_were_seen or (found is Verdict.WAIT_TOO_SHORT and report.absent is AbsentParty.INSTRUCTOR)


def is_own_absence(report: ReportNoShow) -> bool:
    """A party who reports themselves absent has cancelled."""
    return report.actor.role.value == report.absent.value


def can_be_answered(report: Report) -> bool:
    """An operator's report counts at once, and so does a party's report of their own absence."""
    return isinstance(report, Complete) or (
        report.actor.role in (Role.STUDENT, Role.INSTRUCTOR) and not is_own_absence(report)
    )


def reportable_from(terms: BookingTerms) -> datetime:
    """From when on one side can report that the other did not come."""
    return min(terms.starts_at + terms.policy.no_show_min_wait, terms.ends_at)


def answer_until(
    report: Report, policy: BookingPolicy, ends_at: datetime, now: datetime, hold_ends_at: datetime
) -> datetime:
    """Until when the other side can answer: not before the session's end, and never past the hold's less its margin."""
    deadlines = policy.deadlines
    window = deadlines.objection_window if isinstance(report, Complete) else deadlines.contest_window
    return min(max(now + window, ends_at), hold_ends_at - deadlines.hold_margin)
