"""Contested no-shows: what the meeting's record shows, and how the booking ends.

`verdict` decides the clear cases. An operator decides all others: somebody came late or left early, or the meeting
provider reported nothing.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from models.domain import endings
from models.domain.actors import PLATFORM, AbsentParty, Role
from models.domain.attendance import Attendance
from models.domain.base import Value
from models.domain.endings import Ending
from models.domain.messages import ContestNoShow, ReportNoShow
from models.domain.money import BASIS_POINTS
from models.domain.policy import BookingPolicy
from models.domain.terms import BookingTerms


class NoShowVerdict(StrEnum):
    BOTH_CAME = "BOTH_CAME"
    """The session took place."""
    BORNE_OUT = "BORNE_OUT"
    """The reporter waited; the other party never came."""
    REPORTER_ABSENT = "REPORTER_ABSENT"
    """The reporter never came; the other party waited."""
    UNCLEAR = "UNCLEAR"


UNDECIDED = "the no-show is contested, and the meeting's record does not decide it"


class RecordNoShow(Value):
    booking_id: UUID
    report: ReportNoShow
    contest_until: datetime
    at: datetime


class JudgeNoShow(Value):
    terms: BookingTerms
    report: ReportNoShow
    contest: ContestNoShow
    deadline_at: datetime
    """By when an operator has to decide if the record does not."""
    at: datetime


def verdict(found: Attendance, report: ReportNoShow, terms: BookingTerms, now: datetime) -> NoShowVerdict:
    """What the record shows of the session; `found` is the attendance known at `now`."""
    policy = terms.policy
    so_far = min(now, terms.ends_at) - terms.starts_at
    if found.together and found.together * BASIS_POINTS >= so_far * policy.joint_presence_bps:
        return NoShowVerdict.BOTH_CAME
    accused, other = (
        (found.student, found.instructor) if report.absent is AbsentParty.STUDENT else (found.instructor, found.student)
    )
    enough = min(policy.no_show_min_wait, terms.ends_at - terms.starts_at)
    if other.total >= enough and not accused.visits:
        return NoShowVerdict.BORNE_OUT
    if accused.total >= enough and not other.visits:
        return NoShowVerdict.REPORTER_ABSENT
    return NoShowVerdict.UNCLEAR


def ending_after(found: NoShowVerdict, report: ReportNoShow, terms: BookingTerms) -> Ending | None:
    """How the booking ends; `None` if an operator has to decide."""
    match found:
        case NoShowVerdict.BOTH_CAME:
            return endings.no_show_refuted(terms)
        case NoShowVerdict.BORNE_OUT:
            return endings.no_show(terms, report.absent, report.actor)
        case NoShowVerdict.REPORTER_ABSENT:
            other = AbsentParty.INSTRUCTOR if report.absent is AbsentParty.STUDENT else AbsentParty.STUDENT
            return endings.no_show(terms, other, PLATFORM)
        case NoShowVerdict.UNCLEAR:
            return None


def contest_until(
    report: ReportNoShow, policy: BookingPolicy, now: datetime, hold_ends_at: datetime
) -> datetime | None:
    """Until when the other side can contest the report, while the hold lasts; `None` if it cannot be contested.

    A report by an operator, or by the absent party, counts at once.
    """
    by_the_other_side = (
        report.actor.role in (Role.STUDENT, Role.INSTRUCTOR) and report.actor.role.value != report.absent.value
    )
    until = min(now + policy.deadlines.contest_window, hold_ends_at - policy.deadlines.hold_margin)
    return until if by_the_other_side and until > now else None
