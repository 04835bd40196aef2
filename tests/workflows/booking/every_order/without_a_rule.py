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
from workflows.booking.decisions import Decisions


class AnyCompletionCountsEarly(Decisions):
    def refusal(self, decision: Decision, now: datetime) -> str | None:
        is_completion = isinstance(decision, Complete)
        return super().refusal(_with(decision, record_is_enough=True) if is_completion else decision, now)


class WordIsEnough(Decisions):
    def ending_at_once(self, found: Verdict) -> Ending | None:
        return super().ending_at_once(Verdict.TOOK_PLACE)


class NobodyCanObject(Decisions):
    def ending_after(self, found: Verdict) -> Ending | None:
        assert self.state.report is not None
        return session_reports.ending_after(found, self.state.report, None, self.state.terms)


class NobodyCanContest(Decisions):
    def apply(self, decision: Decision, now: datetime) -> None:
        if not isinstance(decision, ReportNoShow) or is_own_absence(decision):
            super().apply(decision, now)
        else:
            self.state.ending, self.state.ended_by = (
                endings.no_show(self.state.terms, decision.absent, decision.actor),
                decision,
            )


class RecordShowsNoAbsence(Decisions):
    def ending_after(self, found: Verdict) -> Ending | None:
        is_absence = found in (Verdict.STUDENT_ABSENT, Verdict.INSTRUCTOR_ABSENT)
        return super().ending_after(Verdict.NOTHING_RECORDED if is_absence else found)


class UnclearRecordContradictsNothing(Decisions):
    def ending_after(self, found: Verdict) -> Ending | None:
        is_unclear = found in (Verdict.CUT_SHORT, Verdict.APART, Verdict.WAIT_TOO_SHORT)
        return super().ending_after(Verdict.NOTHING_RECORDED if is_unclear else found)


class RecordRefutesNothing(Decisions):
    def ending_after(self, found: Verdict) -> Ending | None:
        return super().ending_after(Verdict.NOTHING_RECORDED if found is Verdict.TOOK_PLACE else found)


class SilenceIsNotJudged(Decisions):
    def ending_on_timeout(self, found: Verdict) -> Ending:
        return endings.completion_timed_out(self.state.terms)


class JudgedWhenAnswered(Decisions):
    def apply(self, decision: Decision, now: datetime) -> None:
        super().apply(decision, now)
        if isinstance(decision, ContestNoShow | Object):
            self.state.deadline = now


class NoTimeToAnswer(Decisions):
    def _answer_until(self, report: Report, now: datetime) -> datetime:
        return max(now, self.state.terms.ends_at)


class NobodyWaits(Decisions):
    def refusal(self, decision: Decision, now: datetime) -> str | None:
        is_report = isinstance(decision, ReportNoShow)
        return super().refusal(decision, max(now, self.state.terms.starts_at + LONG_ENOUGH) if is_report else now)


class AnybodyConfirms(Decisions):
    def claim_refusal(self, decision: Decision) -> str | None:
        return super().claim_refusal(_with(decision, actor=STUDENT) if isinstance(decision, Confirm) else decision)

    def refusal(self, decision: Decision, now: datetime) -> str | None:
        return super().refusal(_with(decision, actor=STUDENT) if isinstance(decision, Confirm) else decision, now)


class ConfirmedBeforeTheStart(Decisions):
    def refusal(self, decision: Decision, now: datetime) -> str | None:
        return super().refusal(decision, max(now, self.state.terms.starts_at) if isinstance(decision, Confirm) else now)


class OwnAbsenceIsTheOthers(Decisions):
    def apply(self, decision: Decision, now: datetime) -> None:
        if not isinstance(decision, ReportNoShow) or not is_own_absence(decision):
            super().apply(decision, now)
            return
        other = AbsentParty.INSTRUCTOR if decision.absent is AbsentParty.STUDENT else AbsentParty.STUDENT
        self.state.ending, self.state.ended_by = endings.no_show(self.state.terms, other, decision.actor), decision


class StudentCancelsAtAnyTime(Decisions):
    def refusal(self, decision: Decision, now: datetime) -> str | None:
        is_students = isinstance(decision, Cancel) and decision.actor.role is Role.STUDENT
        return super().refusal(decision, self.state.terms.starts_at - LONG_ENOUGH if is_students else now)


class OperatorNeedsNoReason(Decisions):
    def refusal(self, decision: Decision, now: datetime) -> str | None:
        is_operators = isinstance(decision, Settle | SettleAndRefund)
        return super().refusal(_with(decision, has_reason=True) if is_operators else decision, now)


def _with(decision: Decision, **changes: object) -> Decision:
    return decision.model_copy(update=changes)


WITHOUT_A_RULE = Decisions.__subclasses__()
