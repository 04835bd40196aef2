"""Which decision a booking allows at which stage, and how it ends the booking. Pure: the time is passed in."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from models.domain import endings
from models.domain.actors import AbsentParty, Role
from models.domain.endings import Ending
from models.domain.messages import (
    Approve,
    Cancel,
    Complete,
    ContestNoShow,
    Decision,
    Extend,
    Reject,
    Release,
    ReportNoShow,
    Reschedule,
    Retry,
    Settle,
    SettleAndRefund,
)
from models.domain.money import Money
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
    reported: AbsentParty | None
    """Who was reported absent, while the report can be contested or a contest is being resolved."""
    contested: bool
    moving: bool
    """A move to another slot is being written to the database."""
    now: datetime
    latest_deadline: datetime
    """The latest time to which an operator can move the current deadline."""
    latest_end: datetime
    """The latest end of a session for which the hold lasts until the booking is decided."""
    terms: BookingTerms


PARKED = "A payment step of this booking failed; an operator is looking at it."
TOO_LATE_TO_CANCEL = "The session has begun; report a no-show if the instructor is absent."

_OPEN = (Stage.CHECKOUT, Stage.APPROVAL, Stage.SESSION)
_BY_OPERATOR = (Settle, Release, SettleAndRefund, Retry, Extend)


def refusal(decision: Decision, situation: Situation) -> str | None:
    """Why the decision is not possible now, as a sentence for the caller; `None` if it is possible."""
    stage, terms = situation.stage, situation.terms
    if stage is Stage.CLOSED:
        return "This booking is closed."
    if situation.parked and not isinstance(decision, _BY_OPERATOR):
        return PARKED
    if stage is Stage.ENDING and not situation.parked:
        return "A decision on this booking is being carried out."
    if situation.moving:
        return "The session is being moved to another time; ask again in a moment."
    begun = situation.now >= terms.starts_at
    match decision:
        case Approve() | Reject() if stage is not Stage.APPROVAL:
            return f"There is nothing to approve or reject: this booking waits for {stage}."
        case Complete() | ReportNoShow() if stage is not Stage.SESSION or not situation.accepted:
            return f"There is no session to report on: this booking waits for {stage}."
        case Complete() | ReportNoShow() if not begun:
            return f"The session begins at {terms.starts_at:%Y-%m-%dT%H:%M:%SZ}; report on it after that."
        case Complete() | ReportNoShow() if situation.reported:
            return f"It is reported that the {situation.reported} did not come; they can contest that."
        case ContestNoShow() if situation.reported is None:
            return "There is no reported no-show to contest."
        case ContestNoShow(actor=actor) if actor.role.value != situation.reported:
            return "Only the party reported absent can contest the report."
        case ContestNoShow() if situation.contested:
            return "The report has already been contested."
        case Cancel(actor=actor) if begun and actor.role is Role.STUDENT:
            return TOO_LATE_TO_CANCEL
        case Settle() | SettleAndRefund() if not situation.accepted:
            return f"There is no session to settle: this booking waits for {stage}. Release it instead."
        case SettleAndRefund(amount=amount) if not _is_part_of(amount, terms.price):
            return f"The refund must be more than nothing and at most {terms.price.format()}."
        case Extend() if stage not in _OPEN or situation.parked:
            return "This booking has no open deadline."
        case Extend(until=until) if not situation.now < until <= situation.latest_deadline:
            return f"The deadline can be moved to {situation.latest_deadline:%Y-%m-%dT%H:%M:%SZ} at the latest."
        case Reschedule() if stage not in (Stage.APPROVAL, Stage.SESSION) or situation.parked:
            return f"There is no session to move: this booking waits for {stage}."
        case Reschedule() if stage is Stage.SESSION and not situation.accepted:
            return "The instructor's approval is being processed; try again in a moment."
        case Reschedule() if begun:
            return "The session has started and can no longer be rescheduled."
        case Reschedule():
            return _not_movable(decision, situation)
        case Retry() if not situation.parked:
            return "No step of this booking has failed."
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
        return (
            f"The card's hold does not reach beyond a session that ends at {situation.latest_end:%Y-%m-%dT%H:%M:%SZ}."
        )
    return None


def _is_part_of(amount: Money, price: Money) -> bool:
    return amount.currency == price.currency and 0 < amount.amount_minor <= price.amount_minor


def ending_of(decision: Decision, situation: Situation) -> Ending:
    """How the decision ends the booking. Raises `TypeError` for one that ends no booking."""
    terms, actor = situation.terms, decision.actor
    match decision:
        case Reject():
            return endings.rejected(terms, actor)
        case Complete():
            return endings.completed(terms, actor)
        case ReportNoShow(absent=absent):
            return endings.no_show(terms, absent, actor)
        case Cancel():
            return endings.cancelled(terms, actor, situation.now, situation.accepted)
        case Settle():
            return endings.settled_by_operator(terms, actor)
        case Release():
            return endings.released_by_operator(terms, actor)
        case SettleAndRefund(amount=amount):
            return endings.refunded_by_operator(terms, actor, amount, situation.now)
    raise TypeError(f"{type(decision).__name__} ends no booking")
