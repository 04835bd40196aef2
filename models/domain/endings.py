"""Every way in which a booking can end, and what happens to its money."""

from datetime import datetime
from enum import StrEnum

from models.domain.actors import PLATFORM, AbsentParty, Actor, Role
from models.domain.base import Value
from models.domain.money import Money
from models.domain.policy import (
    BookingPolicy,
    CompletionTimeoutPolicy,
    Split,
    kept_on_student_absence,
    kept_on_student_cancellation,
    split,
)
from models.domain.states import BookingStatus, PaymentStatus, SessionStatus
from models.domain.terms import BookingTerms


class EndReason(StrEnum):
    """Why a booking ended; stable, since API clients read it."""

    COMPLETED = "completed"
    REJECTED = "rejected"
    APPROVAL_TIMEOUT = "approval_timeout"
    CHECKOUT_EXPIRED = "checkout_expired"
    CARD_DECLINED = "card_declined"
    HOLD_TOO_SHORT = "hold_too_short"
    CHECKOUT_REFUSED = "checkout_refused"
    CANCELLED = "cancelled"
    STUDENT_ABSENT = "student_absent"
    INSTRUCTOR_ABSENT = "instructor_absent"
    NO_SHOW_REFUTED = "no_show_refuted"
    COMPLETION_TIMEOUT = "completion_timeout"
    SETTLED_BY_OPERATOR = "settled_by_operator"
    RELEASED_BY_OPERATOR = "released_by_operator"
    REFUNDED_BY_OPERATOR = "refunded_by_operator"


_SESSION_AFTER = {
    BookingStatus.COMPLETED: SessionStatus.COMPLETED,
    BookingStatus.NO_SHOW: SessionStatus.NO_SHOW,
    BookingStatus.CANCELLED: SessionStatus.CANCELLED,
}


class Ending(Value):
    """How a booking ends: its last status, and what is kept of its price. The rest goes back to the student."""

    booking: BookingStatus | None
    """`None`: the payment was never secured, and the booking request is deleted."""
    reason: EndReason
    split: Split
    actor: Actor = PLATFORM
    decline_code: str | None = None
    """Stripe's word for why the card was declined."""

    @property
    def session(self) -> SessionStatus | None:
        return _SESSION_AFTER.get(self.booking) if self.booking else None


def payment_after(terms: BookingTerms, ending: Ending, was_held: bool) -> PaymentStatus | None:
    """What the payment has become when the ending is carried out; `None` when nobody ever tried to pay."""
    if ending.booking is None:
        return PaymentStatus.FAILED
    if not was_held:
        return None
    kept = ending.split.kept
    if not kept:
        return PaymentStatus.REFUNDED
    return PaymentStatus.CAPTURED if kept == terms.price else PaymentStatus.PARTIALLY_REFUNDED


def _ending(
    terms: BookingTerms,
    booking: BookingStatus | None,
    reason: EndReason,
    kept: Money,
    actor: Actor = PLATFORM,
) -> Ending:
    return Ending(booking=booking, reason=reason, split=split(kept, terms.policy), actor=actor)


def unpaid(terms: BookingTerms, reason: EndReason, decline_code: str | None = None) -> Ending:
    """The payment was not secured: the booking request is deleted."""
    ending = _ending(terms, None, reason, terms.price.zero())
    return ending.model_copy(update={"decline_code": decline_code})


def rejected(terms: BookingTerms, actor: Actor) -> Ending:
    return _ending(terms, BookingStatus.REJECTED, EndReason.REJECTED, terms.price.zero(), actor)


def unanswered(terms: BookingTerms) -> Ending:
    return _ending(terms, BookingStatus.EXPIRED, EndReason.APPROVAL_TIMEOUT, terms.price.zero())


def completed(terms: BookingTerms, actor: Actor) -> Ending:
    return _ending(terms, BookingStatus.COMPLETED, EndReason.COMPLETED, terms.price, actor)


def kept_on_cancellation(
    price: Money, policy: BookingPolicy, starts_at: datetime, by: Role, at: datetime, accepted: bool
) -> Money:
    """By the tiers when a student cancels an accepted booking; nothing whenever anybody else cancels, or before."""
    if by is Role.STUDENT and accepted:
        return kept_on_student_cancellation(price, policy, starts_at - at)
    return price.zero()


def cancelled(terms: BookingTerms, actor: Actor, at: datetime, accepted: bool) -> Ending:
    kept = kept_on_cancellation(terms.price, terms.policy, terms.starts_at, actor.role, at, accepted)
    return _ending(terms, BookingStatus.CANCELLED, EndReason.CANCELLED, kept, actor)


def no_show(terms: BookingTerms, absent: AbsentParty, actor: Actor) -> Ending:
    if absent is AbsentParty.STUDENT:
        kept = kept_on_student_absence(terms.price, terms.policy)
        return _ending(terms, BookingStatus.NO_SHOW, EndReason.STUDENT_ABSENT, kept, actor)
    return _ending(terms, BookingStatus.NO_SHOW, EndReason.INSTRUCTOR_ABSENT, terms.price.zero(), actor)


def no_show_refuted(terms: BookingTerms) -> Ending:
    """The other side contested, and the meeting's record shows that both came."""
    return _ending(terms, BookingStatus.COMPLETED, EndReason.NO_SHOW_REFUTED, terms.price)


def completion_timed_out(terms: BookingTerms) -> Ending:
    if terms.policy.on_completion_timeout is CompletionTimeoutPolicy.SETTLE:
        return _ending(terms, BookingStatus.COMPLETED, EndReason.COMPLETION_TIMEOUT, terms.price)
    return _ending(terms, BookingStatus.CANCELLED, EndReason.COMPLETION_TIMEOUT, terms.price.zero())


def settled_by_operator(terms: BookingTerms, actor: Actor) -> Ending:
    return _ending(terms, BookingStatus.COMPLETED, EndReason.SETTLED_BY_OPERATOR, terms.price, actor)


def released_by_operator(terms: BookingTerms, actor: Actor) -> Ending:
    return _ending(terms, BookingStatus.CANCELLED, EndReason.RELEASED_BY_OPERATOR, terms.price.zero(), actor)


def refunded_by_operator(terms: BookingTerms, actor: Actor, refund: Money, at: datetime) -> Ending:
    """`refund` goes back; a session that has begun counts as held, one that has not as cancelled."""
    begun = at >= terms.starts_at
    return _ending(
        terms,
        BookingStatus.COMPLETED if begun else BookingStatus.CANCELLED,
        EndReason.REFUNDED_BY_OPERATOR,
        terms.price - refund,
        actor,
    )
