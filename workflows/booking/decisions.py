"""What decisions and the meeting's record do to a booking. Which is possible when is `models/domain/decisions.py`."""

from datetime import datetime

from models.domain import endings, policy, session_reports
from models.domain.decisions import Situation, Stage, ending_of
from models.domain.decisions import refusal as refusal_in
from models.domain.endings import Ending, EndReason
from models.domain.messages import (
    Approve,
    Complete,
    ContestNoShow,
    Decision,
    Extend,
    Object,
    ReportNoShow,
    Reschedule,
    Retry,
)
from models.domain.payment_plans import expected_end
from models.domain.policy import PaymentPlan
from models.domain.session_reports import Report, Verdict
from workflows.booking.state import BookingState


class Decisions:
    """Who is believed, applied to a booking's state."""

    def __init__(self, state: BookingState) -> None:
        self.state = state

    def refusal(self, decision: Decision, now: datetime) -> str | None:
        """Why the decision is not possible now; `None` when it is."""
        return refusal_in(decision, self._situation(now))

    def apply(self, decision: Decision, now: datetime) -> None:
        """Apply an accepted decision; the waiting `run` sees it. A parked booking goes on."""
        match decision:
            case Approve():
                self.state.approval = decision
            case Retry():
                self.state.retry = decision
            case Extend(until=until):
                self.state.deadline = until
            case Reschedule():
                self.state.is_moving = True
            case Complete() | ReportNoShow() if session_reports.can_be_answered(decision):
                self.state.report, self.state.deadline = decision, self._answer_until(decision, now)
            case ContestNoShow() | Object():
                self.state.answer, self.state.deadline = decision, max(now, self.state.terms.ends_at)
            case _:
                self.state.ending, self.state.ended_by = ending_of(decision, self._situation(now)), decision
        self.state.parked_because = None

    def took_effect(self, decision: Decision) -> bool:
        """Whether an applied decision has been carried out. Another one, or a deadline, may have been first."""
        match decision:
            case Approve():
                return self.state.view.session_status is not None
            case Retry():
                return self.state.retried is decision
            case Extend():
                return self.state.ending is None
            case Reschedule(starts_at=starts_at):
                return self.state.terms.starts_at == starts_at
            case Complete():
                return self.state.is_report_recorded or self.state.view.end_reason is EndReason.COMPLETED
            case ReportNoShow() if session_reports.can_be_answered(decision):
                return self.state.is_report_recorded
            case ContestNoShow() | Object():
                return self.state.is_answer_recorded
        return self.state.ended_by is decision

    def ending_at_once(self, found: Verdict) -> Ending | None:
        """A reported completion that the meeting's record shows needs no answer."""
        if found is not Verdict.TOOK_PLACE or self.state.report is None:
            return None
        return endings.completed(self.state.terms, self.state.report.actor)

    def ending_after(self, found: Verdict) -> Ending | None:
        """How the report, its answer and the record end the booking; `None` if an operator has to decide."""
        state = self.state
        assert state.report is not None
        return session_reports.ending_after(found, state.report, state.answer, state.terms)

    def ending_on_timeout(self, found: Verdict) -> Ending:
        return session_reports.ending_on_timeout(found, self.state.terms)

    def _situation(self, now: datetime) -> Situation:
        stage = self.state.stage
        if stage is Stage.APPROVAL and self.state.approval:
            stage = Stage.SESSION
        if stage is not Stage.CLOSED and self.state.ending:
            stage = Stage.ENDING
        return Situation(
            stage=stage,
            accepted=self.state.is_accepted,
            parked=self.state.is_parked,
            report=self.state.report,
            answer=self.state.answer,
            moving=self.state.is_moving,
            now=now,
            latest_deadline=self.state.latest_deadline,
            latest_end=policy.latest_end(self.state.terms.policy.deadlines, self._latest_hold_end(now)),
            terms=self.state.terms,
            ending=self.state.ending,
            awaits_late_payment=self.state.stage is Stage.ENDING and self._is_payment_late,
        )

    @property
    def _is_payment_late(self) -> bool:
        """What is due is for how the booking ends, not for a session that was still to come."""
        due = self.state.renewal.request
        return due is not None and due.is_final

    def _latest_hold_end(self, now: datetime) -> datetime:
        """How far the session can be moved: one beyond the hold is paid again, and then charged."""
        if self.state.terms.plan is not PaymentPlan.HOLD:
            return self.state.hold_ends_at
        charged = expected_end(PaymentPlan.CHARGE_THEN_TRANSFER, self.state.terms.policy.deadlines, now)
        return max(self.state.hold_ends_at, charged)

    def _answer_until(self, report: Report, now: datetime) -> datetime:
        terms = self.state.terms
        return session_reports.answer_until(report, terms.policy, terms.ends_at, now, self.state.hold_ends_at)
