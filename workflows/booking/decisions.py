"""What a decision, or the meeting's record, does to a booking's state.

Which decision is possible when is `models/domain/decisions.py`; who is believed, `models/domain/session_reports.py`.
"""

from datetime import datetime
from typing import Protocol

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


class Rules(Protocol):
    """What this module says. A test takes one rule out, and sees what that allows."""

    def refusal(self, state: BookingState, decision: Decision, now: datetime) -> str | None: ...

    def apply(self, state: BookingState, decision: Decision, now: datetime) -> None: ...

    def ending_at_once(self, state: BookingState, found: Verdict) -> Ending | None: ...

    def ending_after(self, state: BookingState, found: Verdict) -> Ending | None: ...

    def ending_on_timeout(self, state: BookingState, found: Verdict) -> Ending: ...


def refusal(state: BookingState, decision: Decision, now: datetime) -> str | None:
    """Why the decision is not possible now; `None` when it is."""
    return refusal_in(decision, _situation(state, now))


def apply(state: BookingState, decision: Decision, now: datetime) -> None:
    """Apply an accepted decision; the waiting `run` sees it. A parked booking goes on."""
    match decision:
        case Approve():
            state.approval = decision
        case Retry():
            state.retry = decision
        case Extend(until=until):
            state.deadline = until
        case Reschedule():
            state.is_moving = True
        case Complete() | ReportNoShow() if session_reports.can_be_answered(decision):
            state.report, state.deadline = decision, _answer_until(state, decision, now)
        case ContestNoShow() | Object():
            state.answer, state.deadline = decision, max(now, state.terms.ends_at)
        case _:
            state.ending, state.ended_by = ending_of(decision, _situation(state, now)), decision
    state.parked_because = None


def took_effect(state: BookingState, decision: Decision) -> bool:
    """Whether an applied decision has been carried out. Another one, or a deadline, may have been first."""
    match decision:
        case Approve():
            return state.view.session_status is not None
        case Retry():
            return state.retried is decision
        case Extend():
            return state.ending is None
        case Reschedule(starts_at=starts_at):
            return state.terms.starts_at == starts_at
        case Complete():
            return state.is_report_recorded or state.view.end_reason is EndReason.COMPLETED
        case ReportNoShow() if session_reports.can_be_answered(decision):
            return state.is_report_recorded
        case ContestNoShow() | Object():
            return state.is_answer_recorded
    return state.ended_by is decision


def ending_at_once(state: BookingState, found: Verdict) -> Ending | None:
    """A reported completion that the meeting's record shows needs no answer."""
    if found is not Verdict.TOOK_PLACE or state.report is None:
        return None
    return endings.completed(state.terms, state.report.actor)


def ending_after(state: BookingState, found: Verdict) -> Ending | None:
    """How the report, its answer and the record end the booking; `None` if an operator has to decide."""
    assert state.report is not None
    return session_reports.ending_after(found, state.report, state.answer, state.terms)


def ending_on_timeout(state: BookingState, found: Verdict) -> Ending:
    return session_reports.ending_on_timeout(found, state.terms)


def _situation(state: BookingState, now: datetime) -> Situation:
    stage = state.stage
    if stage is Stage.APPROVAL and state.approval:
        stage = Stage.SESSION
    if stage is not Stage.CLOSED and state.ending:
        stage = Stage.ENDING
    return Situation(
        stage=stage,
        accepted=state.is_accepted,
        parked=state.is_parked,
        report=state.report,
        answer=state.answer,
        moving=state.is_moving,
        now=now,
        latest_deadline=state.latest_deadline,
        latest_end=policy.latest_end(state.terms.policy.deadlines, _latest_hold_end(state, now)),
        terms=state.terms,
        ending=state.ending,
        awaits_late_payment=state.stage is Stage.ENDING and _is_late_payment_due(state),
    )


def _is_late_payment_due(state: BookingState) -> bool:
    """Not a payment that was due before a session which is now cancelled, and whose page is being closed."""
    due = state.renewal.request
    return due is not None and due.is_final


def _latest_hold_end(state: BookingState, now: datetime) -> datetime:
    """How far the session can be moved: one beyond the hold is paid again, and then charged."""
    if state.terms.plan is not PaymentPlan.HOLD:
        return state.hold_ends_at
    charged = expected_end(PaymentPlan.CHARGE_THEN_TRANSFER, state.terms.policy.deadlines, now)
    return max(state.hold_ends_at, charged)


def _answer_until(state: BookingState, report: Report, now: datetime) -> datetime:
    terms = state.terms
    return session_reports.answer_until(report, terms.policy, terms.ends_at, now, state.hold_ends_at)
