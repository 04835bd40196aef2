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
from models.domain.session_reports import Verdict, is_own_absence
from tests.workflows.booking.every_order.people import LONG_ENOUGH, STUDENT
from workflows.booking import decisions
from workflows.booking.state import BookingState


class AllRules:
    """As they are."""

    def refusal(self, state: BookingState, decision: Decision, now: datetime) -> str | None:
        return decisions.refusal(state, decision, now)

    def apply(self, state: BookingState, decision: Decision, now: datetime) -> None:
        decisions.apply(state, decision, now)

    def ending_at_once(self, state: BookingState, found: Verdict) -> Ending | None:
        return decisions.ending_at_once(state, found)

    def ending_after(self, state: BookingState, found: Verdict) -> Ending | None:
        return decisions.ending_after(state, found)

    def ending_on_timeout(self, state: BookingState, found: Verdict) -> Ending:
        return decisions.ending_on_timeout(state, found)


class AnyCompletionCountsEarly(AllRules):
    def refusal(self, state: BookingState, decision: Decision, now: datetime) -> str | None:
        is_completion = isinstance(decision, Complete)
        return super().refusal(state, _with(decision, record_is_enough=True) if is_completion else decision, now)


class WordIsEnough(AllRules):
    def ending_at_once(self, state: BookingState, found: Verdict) -> Ending | None:
        return super().ending_at_once(state, Verdict.TOOK_PLACE)


class NobodyCanObject(AllRules):
    def ending_after(self, state: BookingState, found: Verdict) -> Ending | None:
        assert state.report is not None
        return session_reports.ending_after(found, state.report, None, state.terms)


class NobodyCanContest(AllRules):
    def apply(self, state: BookingState, decision: Decision, now: datetime) -> None:
        if not isinstance(decision, ReportNoShow) or is_own_absence(decision):
            super().apply(state, decision, now)
        else:
            state.ending, state.ended_by = endings.no_show(state.terms, decision.absent, decision.actor), decision


class RecordShowsNoAbsence(AllRules):
    def ending_after(self, state: BookingState, found: Verdict) -> Ending | None:
        is_absence = found in (Verdict.STUDENT_ABSENT, Verdict.INSTRUCTOR_ABSENT)
        return super().ending_after(state, Verdict.NOTHING_RECORDED if is_absence else found)


class UnclearRecordContradictsNothing(AllRules):
    def ending_after(self, state: BookingState, found: Verdict) -> Ending | None:
        is_unclear = found in (Verdict.CUT_SHORT, Verdict.APART, Verdict.WAIT_TOO_SHORT)
        return super().ending_after(state, Verdict.NOTHING_RECORDED if is_unclear else found)


class RecordRefutesNothing(AllRules):
    def ending_after(self, state: BookingState, found: Verdict) -> Ending | None:
        return super().ending_after(state, Verdict.NOTHING_RECORDED if found is Verdict.TOOK_PLACE else found)


class SilenceIsNotJudged(AllRules):
    def ending_on_timeout(self, state: BookingState, found: Verdict) -> Ending:
        return endings.completion_timed_out(state.terms)


class JudgedWhenAnswered(AllRules):
    def apply(self, state: BookingState, decision: Decision, now: datetime) -> None:
        super().apply(state, decision, now)
        if isinstance(decision, ContestNoShow | Object):
            state.deadline = now


class NoTimeToAnswer(AllRules):
    def apply(self, state: BookingState, decision: Decision, now: datetime) -> None:
        super().apply(state, decision, now)
        if decision is state.report:
            state.deadline = max(now, state.terms.ends_at)


class NobodyWaits(AllRules):
    def refusal(self, state: BookingState, decision: Decision, now: datetime) -> str | None:
        is_report = isinstance(decision, ReportNoShow)
        return super().refusal(state, decision, max(now, state.terms.starts_at + LONG_ENOUGH) if is_report else now)


class AnybodyConfirms(AllRules):
    def refusal(self, state: BookingState, decision: Decision, now: datetime) -> str | None:
        return super().refusal(
            state, _with(decision, actor=STUDENT) if isinstance(decision, Confirm) else decision, now
        )


class ConfirmedBeforeTheStart(AllRules):
    def refusal(self, state: BookingState, decision: Decision, now: datetime) -> str | None:
        return super().refusal(
            state, decision, max(now, state.terms.starts_at) if isinstance(decision, Confirm) else now
        )


class OwnAbsenceIsTheOthers(AllRules):
    def apply(self, state: BookingState, decision: Decision, now: datetime) -> None:
        if not isinstance(decision, ReportNoShow) or not is_own_absence(decision):
            super().apply(state, decision, now)
            return
        other = AbsentParty.INSTRUCTOR if decision.absent is AbsentParty.STUDENT else AbsentParty.STUDENT
        state.ending, state.ended_by = endings.no_show(state.terms, other, decision.actor), decision


class StudentCancelsAtAnyTime(AllRules):
    def refusal(self, state: BookingState, decision: Decision, now: datetime) -> str | None:
        is_students = isinstance(decision, Cancel) and decision.actor.role is Role.STUDENT
        return super().refusal(state, decision, state.terms.starts_at - LONG_ENOUGH if is_students else now)


class OperatorNeedsNoReason(AllRules):
    def refusal(self, state: BookingState, decision: Decision, now: datetime) -> str | None:
        is_operators = isinstance(decision, Settle | SettleAndRefund)
        return super().refusal(state, _with(decision, has_reason=True) if is_operators else decision, now)


def _with(decision: Decision, **changes: object) -> Decision:
    return decision.model_copy(update=changes)


WITHOUT_A_RULE = AllRules.__subclasses__()
