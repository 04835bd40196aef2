"""Every way a booking can end, and what happens to its money."""

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
    """Why a booking ended. Stable: API clients branch on it."""

    COMPLETED = "completed"
    REJECTED = "rejected"
    APPROVAL_TIMEOUT = "approval_timeout"
    CHECKOUT_EXPIRED = "checkout_expired"
    CARD_DECLINED = "card_declined"
    HOLD_TOO_SHORT = "hold_too_short"
    CHECKOUT_REFUSED = "checkout_refused"
    CANCELLED = "cancelled"
    PAYMENT_NOT_RENEWED = "payment_not_renewed"
    STUDENT_ABSENT = "student_absent"
    INSTRUCTOR_ABSENT = "instructor_absent"
    NO_SHOW_REFUTED = "no_show_refuted"
    COMPLETION_TIMEOUT = "completion_timeout"
    SETTLED_BY_OPERATOR = "settled_by_operator"
    RELEASED_BY_OPERATOR = "released_by_operator"
    REFUNDED_BY_OPERATOR = "refunded_by_operator"


_SESSION_STATUS_BY_BOOKING = {
    BookingStatus.COMPLETED: SessionStatus.COMPLETED,
    BookingStatus.NO_SHOW: SessionStatus.NO_SHOW,
    BookingStatus.CANCELLED: SessionStatus.CANCELLED,
}


class Ending(Value):
    """How a booking ends: its final status, and what is kept of its price. The rest is returned to the student."""

    booking: BookingStatus | None
    """`None`: the payment was never secured, and the booking request is deleted."""
    reason: EndReason
    split: Split
    actor: Actor = PLATFORM
    decline_code: str | None = None
    """Stripe's `decline_code`."""
    advice_code: str | None = None
    """Stripe's `advice_code`: what the student can do about the decline."""

    @property
    def session(self) -> SessionStatus | None:
        return _SESSION_STATUS_BY_BOOKING.get(self.booking) if self.booking else None


def payment_after(terms: BookingTerms, ending: Ending, was_held: bool) -> PaymentStatus | None:
    """The payment's status once the ending has been carried out; `None` if nobody ever tried to pay."""
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


def unpaid(
    terms: BookingTerms, reason: EndReason, decline_code: str | None = None, advice_code: str | None = None
) -> Ending:
    """The payment was never secured: the booking request is deleted."""
    ending = _ending(terms, None, reason, terms.price.zero())
    return ending.model_copy(update={"decline_code": decline_code, "advice_code": advice_code})


def rejected(terms: BookingTerms, actor: Actor) -> Ending:
    return _ending(terms, BookingStatus.REJECTED, EndReason.REJECTED, terms.price.zero(), actor)


def approval_timed_out(terms: BookingTerms) -> Ending:
    return _ending(terms, BookingStatus.EXPIRED, EndReason.APPROVAL_TIMEOUT, terms.price.zero())


def completed(terms: BookingTerms, actor: Actor) -> Ending:
    return _ending(terms, BookingStatus.COMPLETED, EndReason.COMPLETED, terms.price, actor)


def kept_on_cancellation(
    price: Money, policy: BookingPolicy, starts_at: datetime, by: Role, at: datetime, accepted: bool
) -> Money:
    """By the policy's tiers if a student cancels an accepted booking; otherwise nothing.

    After the start, the student has not come.
    """
    if by is not Role.STUDENT or not accepted:
        return price.zero()
    if at > starts_at:
        return kept_on_student_absence(price, policy)
    return kept_on_student_cancellation(price, policy, starts_at - at)


def cancelled(terms: BookingTerms, actor: Actor, at: datetime, accepted: bool) -> Ending:
    kept = kept_on_cancellation(terms.price, terms.policy, terms.starts_at, actor.role, at, accepted)
    return _ending(terms, BookingStatus.CANCELLED, EndReason.CANCELLED, kept, actor)


def not_renewed(terms: BookingTerms) -> Ending:
    """The hold did not last until the session, and the student did not pay again in time."""
    return _ending(terms, BookingStatus.CANCELLED, EndReason.PAYMENT_NOT_RENEWED, terms.price.zero())


def cut_short(terms: BookingTerms, kept: Money) -> Ending:
    """Its workflow was ended from outside after it had captured `kept`: which decision that followed is not known."""
    return _ending(terms, BookingStatus.CANCELLED, EndReason.CANCELLED, kept)


def no_show(terms: BookingTerms, absent: AbsentParty, actor: Actor) -> Ending:
    if absent is AbsentParty.STUDENT:
        kept = kept_on_student_absence(terms.price, terms.policy)
        return _ending(terms, BookingStatus.NO_SHOW, EndReason.STUDENT_ABSENT, kept, actor)
    return _ending(terms, BookingStatus.NO_SHOW, EndReason.INSTRUCTOR_ABSENT, terms.price.zero(), actor)


def no_show_refuted(terms: BookingTerms) -> Ending:
    """A no-show was reported, but the meeting's record shows that the session took place."""
    return _ending(terms, BookingStatus.COMPLETED, EndReason.NO_SHOW_REFUTED, terms.price)


def completion_timed_out(terms: BookingTerms) -> Ending:
    if terms.policy.on_completion_timeout is CompletionTimeoutPolicy.SETTLE:
        return _ending(terms, BookingStatus.COMPLETED, EndReason.COMPLETION_TIMEOUT, terms.price)
    return _ending(terms, BookingStatus.CANCELLED, EndReason.COMPLETION_TIMEOUT, terms.price.zero())


def _status_by_operator(earlier: Ending | None, status: BookingStatus) -> BookingStatus:
    """A cancelled session or a no-show stays one: an operator decides only about the money that did not move."""
    if earlier is None or earlier.booking not in (BookingStatus.CANCELLED, BookingStatus.NO_SHOW):
        return status
    return earlier.booking


def settled_by_operator(terms: BookingTerms, actor: Actor, earlier: Ending | None = None) -> Ending:
    status = _status_by_operator(earlier, BookingStatus.COMPLETED)
    return _ending(terms, status, EndReason.SETTLED_BY_OPERATOR, terms.price, actor)


def released_by_operator(terms: BookingTerms, actor: Actor, earlier: Ending | None = None) -> Ending:
    status = _status_by_operator(earlier, BookingStatus.CANCELLED)
    return _ending(terms, status, EndReason.RELEASED_BY_OPERATOR, terms.price.zero(), actor)


def refunded_by_operator(
    terms: BookingTerms, actor: Actor, refund: Money, at: datetime, earlier: Ending | None = None
) -> Ending:
    """`refund` is returned. A session that has started counts as held, any other as cancelled."""
    has_started = at >= terms.starts_at
    status = _status_by_operator(earlier, BookingStatus.COMPLETED if has_started else BookingStatus.CANCELLED)
    return _ending(terms, status, EndReason.REFUNDED_BY_OPERATOR, terms.price - refund, actor)
