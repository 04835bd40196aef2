"""Which decision a booking allows at which stage, and how it ends the booking. Pure: the time is passed in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from models.domain import endings
from models.domain.actors import Actor, Role
from models.domain.endings import Ending
from models.domain.messages import (
    Approve,
    Cancel,
    Complete,
    Confirm,
    ContestNoShow,
    Decision,
    Extend,
    Object,
    Reject,
    Release,
    ReportNoShow,
    Reschedule,
    Retry,
    Settle,
    SettleAndRefund,
)
from models.domain.money import Money, not_accepted
from models.domain.session_reports import Answer, Report, is_own_absence, reportable_from
from models.domain.terms import BookingTerms


class Stage(StrEnum):
    """A booking's stage. The value completes the sentence "this booking waits for …"."""

    CHECKOUT = "the student's payment"
    APPROVAL = "the instructor's decision"
    SESSION = "word that the session took place"
    ENDING = "the money to move"
    CLOSED = "nothing"


@dataclass(frozen=True)
class Situation:
    """Everything that determines whether a decision is possible."""

    stage: Stage
    accepted: bool
    """The instructor has approved the booking, so there is a session."""
    parked: bool
    """A step failed permanently, and an operator has to decide."""
    report: Report | None
    """What one side reported of the session, while the other can answer or the record is being judged."""
    answer: Answer | None
    moving: bool
    """A move to another slot is being written to the database."""
    now: datetime
    latest_deadline: datetime
    """The latest time to which an operator can move the current deadline."""
    latest_end: datetime
    """The latest end of a session for which the money can be held until the booking is decided."""
    terms: BookingTerms
    ending: Ending | None = None
    """How the booking was to end, if that is decided and its money could not be moved."""
    awaits_late_payment: bool = False
    """The session took place, its hold had ended, and the student is asked to pay again."""


PARKED = "This booking waits for an operator's decision."
OPERATORS_ONLY = "This is for an operator to decide. The decision has the operator's id."
TOO_LATE_TO_CANCEL = "The session has begun; report a no-show if the instructor is absent."

_OPEN = (Stage.CHECKOUT, Stage.APPROVAL, Stage.SESSION)
_BY_OPERATOR = (Settle, Release, SettleAndRefund, Retry, Extend)
_EITHER_SIDE = (Role.STUDENT, Role.INSTRUCTOR)
_DECIDED_BY: Mapping[type[Decision], tuple[Role, ...]] = {
    **dict.fromkeys((Approve, Reject, Complete), (Role.INSTRUCTOR,)),
    **dict.fromkeys((Confirm, Object), (Role.STUDENT,)),
    **dict.fromkeys((ReportNoShow, ContestNoShow, Reschedule), _EITHER_SIDE),
    **dict.fromkeys(_BY_OPERATOR, (Role.OPERATOR,)),
    Cancel: (*_EITHER_SIDE, Role.OPERATOR, Role.PLATFORM),
}


def claim_refusal(decision: Decision, terms: BookingTerms) -> str | None:
    """Why the actor cannot be who they say they are; `None` if they can. A sentence for the caller.

    The API knows who sends a decision. Anyone else who sends one can write any actor in it.
    """
    actor, roles = decision.actor, _DECIDED_BY[type(decision)]
    if actor.role not in roles:
        return f"This is for the {' or the '.join(roles)} to decide, not for the {actor.role}."
    if not _is_who_they_say(actor, terms):
        if actor.role is Role.OPERATOR:
            return "An operator's decision has the operator's id, and nobody decides on a booking of their own."
        return f"The actor's id is not that of the booking's {actor.role}."
    return None


def is_operator(actor: Actor) -> bool:
    """Whether the actor can be an operator. Which ids are operators', only the API or its identity provider knows."""
    return actor.role is Role.OPERATOR and actor.id is not None


def _is_who_they_say(actor: Actor, terms: BookingTerms) -> bool:
    match actor.role:
        case Role.STUDENT:
            return actor.id == terms.student_id
        case Role.INSTRUCTOR:
            return actor.id == terms.instructor_id
        case Role.PLATFORM:
            return actor.id is None
    return is_operator(actor) and actor.id not in (terms.student_id, terms.instructor_id)


def refusal(decision: Decision, situation: Situation) -> str | None:
    """Why the decision is not possible now, as a sentence for the caller; `None` if it is possible."""
    stage, terms = situation.stage, situation.terms
    if stage is Stage.CLOSED:
        return "This booking is closed."
    is_undecided = stage is Stage.SESSION and isinstance(decision, Confirm)
    if situation.parked and not isinstance(decision, _BY_OPERATOR) and not is_undecided:
        return PARKED
    is_instead = situation.awaits_late_payment and isinstance(decision, Settle | Release | SettleAndRefund)
    if stage is Stage.ENDING and not situation.parked and not is_instead:
        return "A decision on this booking is being carried out."
    if situation.moving:
        return "The session is being moved to another time; ask again in a moment."
    begun, ended = situation.now >= terms.starts_at, situation.now >= terms.ends_at
    actor_role = decision.actor.role
    match decision:
        case Approve() | Reject() if stage is not Stage.APPROVAL:
            return f"There is nothing to approve or reject: this booking waits for {stage}."
        case Complete() | Confirm() | ReportNoShow() if stage is not Stage.SESSION or not situation.accepted:
            return f"There is no session to report on: this booking waits for {stage}."
        case Complete() | Confirm() | ReportNoShow() if not begun:
            return f"The session begins at {_utc(terms.starts_at)}; report on it after that."
        case Complete() | ReportNoShow() | ContestNoShow() | Object():
            return _not_to_be_said(decision, situation)
        case Confirm() if actor_role is not Role.STUDENT:
            return "Only the student can confirm that the session took place."
        case Cancel() if begun and actor_role is Role.STUDENT:
            return TOO_LATE_TO_CANCEL
        case Settle() | SettleAndRefund() if not situation.accepted:
            return f"There is no session to settle: this booking waits for {stage}. Release it instead."
        case Settle(has_reason=False) | SettleAndRefund(has_reason=False) if not ended:
            return f"The session ends at {_utc(terms.ends_at)}; to settle it before that, give a reason."
        case SettleAndRefund(amount=amount) if not _is_part_of(amount, terms.price):
            return f"The refund must be more than nothing and at most {terms.price.format()}."
        case SettleAndRefund(amount=amount) if reason := not_accepted(amount):
            return f"{reason[0].upper()}{reason[1:]}."
        case SettleAndRefund(amount=amount) if (kept := terms.price - amount) and not_accepted(kept, is_charge=True):
            return f"The rest, {kept.format()}, is less than Stripe can capture; refund all of it, or less."
        case Extend() if stage not in _OPEN or situation.parked:
            return "This booking has no open deadline."
        case Extend() | Reschedule() if stage is Stage.SESSION and not situation.accepted:
            return "The instructor's approval is being processed; try again in a moment."
        case Extend(until=until) if stage is Stage.SESSION and until < terms.ends_at:
            return f"The session ends at {_utc(terms.ends_at)}, and nothing is judged before that."
        case Extend(until=until) if not situation.now < until <= situation.latest_deadline:
            return f"The deadline can be moved to {_utc(situation.latest_deadline)} at the latest."
        case Reschedule() if stage not in (Stage.APPROVAL, Stage.SESSION) or situation.parked:
            return f"There is no session to move: this booking waits for {stage}."
        case Reschedule() if begun:
            return "The session has started and can no longer be rescheduled."
        case Reschedule():
            return _not_movable(decision, situation)
        case Retry() if not situation.parked:
            return "No step of this booking has failed."
    return None


def _not_to_be_said(decision: Report | Answer, situation: Situation) -> str | None:
    report, terms, now = situation.report, situation.terms, situation.now
    match decision:
        case Complete(actor=actor) if actor.role is not Role.INSTRUCTOR:
            return "Only the instructor can report that the session took place."
        case Complete() | ReportNoShow() if isinstance(report, Complete):
            return "The session is reported as complete; the student can confirm that, or object."
        case Complete() | ReportNoShow() if isinstance(report, ReportNoShow):
            return f"The {report.absent} is reported absent; they can contest the report."
        case Complete(record_is_enough=False) if now < terms.ends_at:
            return f"The session ends at {_utc(terms.ends_at)}; report after that, unless the student confirms before."
        case ReportNoShow() if not is_own_absence(decision) and now < reportable_from(terms):
            return (
                f"Wait for the other side until {_utc(reportable_from(terms))}, then report that they did not attend."
            )
        case ContestNoShow() if not isinstance(report, ReportNoShow):
            return "There is no reported no-show to contest."
        case ContestNoShow(actor=actor) if isinstance(report, ReportNoShow) and actor.role.value != report.absent:
            return "Only the party reported absent can contest the report."
        case Object() if not isinstance(report, Complete):
            return "There is no reported completion to object to."
        case Object(actor=actor) if actor.role is not Role.STUDENT:
            return "Only the student can object to the report."
        case ContestNoShow() | Object() if situation.answer is not None:
            return "The report has already been answered; the meeting's record is judged next."
    return None


def _not_movable(to: Reschedule, situation: Situation) -> str | None:
    if to.starts_at == situation.terms.starts_at:
        return None  # Already moved there: a repeated request gets the same answer.
    if to.from_starts_at != situation.terms.starts_at:
        return "The session has been rescheduled since."
    if to.ends_at - to.starts_at != situation.terms.ends_at - situation.terms.starts_at:
        return "The slots have different lengths."
    if to.starts_at <= situation.now:
        return "The other slot has started."
    if to.ends_at > situation.latest_end:
        return f"The payment cannot be held for a session that ends after {_utc(situation.latest_end)}."
    return None


def _is_part_of(amount: Money, price: Money) -> bool:
    return amount.currency == price.currency and 0 < amount.amount_minor <= price.amount_minor


def _utc(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"


def ending_of(decision: Decision, situation: Situation) -> Ending:
    """How the decision ends the booking. Raises `TypeError` for one that ends no booking."""
    terms, actor, earlier = situation.terms, decision.actor, situation.ending
    match decision:
        case Reject():
            return endings.rejected(terms, actor)
        case Confirm():
            return endings.completed(terms, actor)
        case ReportNoShow() if is_own_absence(decision):
            return endings.cancelled(terms, actor, situation.now, situation.accepted)
        case ReportNoShow(absent=absent):
            return endings.no_show(terms, absent, actor)
        case Cancel():
            return endings.cancelled(terms, actor, situation.now, situation.accepted)
        case Settle():
            return endings.settled_by_operator(terms, actor, earlier)
        case Release():
            return endings.released_by_operator(terms, actor, earlier)
        case SettleAndRefund(amount=amount):
            return endings.refunded_by_operator(terms, actor, amount, situation.now, earlier)
    raise TypeError(f"{type(decision).__name__} ends no booking")
