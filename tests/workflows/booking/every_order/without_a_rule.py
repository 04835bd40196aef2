"""The booking's rules, each time without one of those that say who is believed."""

from datetime import datetime

from models.domain import endings, session_reports
from models.domain.actors import AbsentParty, Role
from models.domain.endings import Ending
from models.domain.messages import (
    Cancel,
    Complete,
    Confirm,
    ContestNoShow,
    Decision,
    Object,
    ReportNoShow,
    Settle,
    SettleAndRefund,
)
from models.domain.session_reports import Report, Verdict, is_own_absence
from tests.workflows.booking.every_order.people import LONG_ENOUGH, STUDENT
from workflows.booking.state import BookingState


class AnyCompletionCountsEarly(BookingState):
    def refusal(self, decision: Decision, now: datetime) -> str | None:
        is_completion = isinstance(decision, Complete)
        return super().refusal(_with(decision, record_is_enough=True) if is_completion else decision, now)


class WordIsEnough(BookingState):
    def ending_at_once(self, found: Verdict) -> Ending | None:
        return super().ending_at_once(Verdict.TOOK_PLACE)


class NobodyCanObject(BookingState):
    def ending_after(self, found: Verdict) -> Ending | None:
        assert self.report is not None
        return session_reports.ending_after(found, self.report, None, self.terms)


class NobodyCanContest(BookingState):
    def apply(self, decision: Decision, now: datetime) -> None:
        if not isinstance(decision, ReportNoShow) or is_own_absence(decision):
            super().apply(decision, now)
        else:
            self.ending, self.ended_by = endings.no_show(self.terms, decision.absent, decision.actor), decision


class RecordShowsNoAbsence(BookingState):
    def ending_after(self, found: Verdict) -> Ending | None:
        is_absence = found in (Verdict.STUDENT_ABSENT, Verdict.INSTRUCTOR_ABSENT)
        return super().ending_after(Verdict.NOTHING_RECORDED if is_absence else found)


class UnclearRecordContradictsNothing(BookingState):
    def ending_after(self, found: Verdict) -> Ending | None:
        is_unclear = found in (Verdict.CUT_SHORT, Verdict.APART, Verdict.WAIT_TOO_SHORT)
        return super().ending_after(Verdict.NOTHING_RECORDED if is_unclear else found)


class RecordRefutesNothing(BookingState):
    def ending_after(self, found: Verdict) -> Ending | None:
        return super().ending_after(Verdict.NOTHING_RECORDED if found is Verdict.TOOK_PLACE else found)


class SilenceIsNotJudged(BookingState):
    def ending_on_timeout(self, found: Verdict) -> Ending:
        return endings.completion_timed_out(self.terms)


class JudgedWhenAnswered(BookingState):
    def apply(self, decision: Decision, now: datetime) -> None:
        super().apply(decision, now)
        if isinstance(decision, ContestNoShow | Object):
            self.deadline = now


class NoTimeToAnswer(BookingState):
    def _answer_until(self, report: Report, now: datetime) -> datetime:
        return max(now, self.terms.ends_at)


class NobodyWaits(BookingState):
    def refusal(self, decision: Decision, now: datetime) -> str | None:
        is_report = isinstance(decision, ReportNoShow)
        return super().refusal(decision, max(now, self.terms.starts_at + LONG_ENOUGH) if is_report else now)


class AnybodyConfirms(BookingState):
    def refusal(self, decision: Decision, now: datetime) -> str | None:
        return super().refusal(_with(decision, actor=STUDENT) if isinstance(decision, Confirm) else decision, now)


class ConfirmedBeforeTheStart(BookingState):
    def refusal(self, decision: Decision, now: datetime) -> str | None:
        return super().refusal(decision, max(now, self.terms.starts_at) if isinstance(decision, Confirm) else now)


class OwnAbsenceIsTheOthers(BookingState):
    def apply(self, decision: Decision, now: datetime) -> None:
        if not isinstance(decision, ReportNoShow) or not is_own_absence(decision):
            super().apply(decision, now)
            return
        other = AbsentParty.INSTRUCTOR if decision.absent is AbsentParty.STUDENT else AbsentParty.STUDENT
        self.ending, self.ended_by = endings.no_show(self.terms, other, decision.actor), decision


class StudentCancelsAtAnyTime(BookingState):
    def refusal(self, decision: Decision, now: datetime) -> str | None:
        is_students = isinstance(decision, Cancel) and decision.actor.role is Role.STUDENT
        return super().refusal(decision, self.terms.starts_at - LONG_ENOUGH if is_students else now)


class OperatorNeedsNoReason(BookingState):
    def refusal(self, decision: Decision, now: datetime) -> str | None:
        is_operators = isinstance(decision, Settle | SettleAndRefund)
        return super().refusal(_with(decision, has_reason=True) if is_operators else decision, now)


def _with(decision: Decision, **changes: object) -> Decision:
    return decision.model_copy(update=changes)


WITHOUT_A_RULE = BookingState.__subclasses__()
