"""For operators: which clause of a booking's frozen policy decided about its money."""

from api.bookings.schemas import BookingForOperator
from api.bookings.trace import TracedEvent
from api.pages.page import Page
from api.pages.standing import why_it_ended
from api.pages.terms import window
from models.domain.actors import Role
from models.domain.endings import EndReason
from models.domain.money import BASIS_POINTS, Money
from models.domain.policy import (
    BookingPolicy,
    CancellationTier,
    CompletionTimeoutPolicy,
    LossBearer,
    PaymentPlan,
    kept_on_student_cancellation,
)
from models.domain.states import HOLDS_SLOT


def decided_by(booking: BookingForOperator, policy: BookingPolicy, events: list[TracedEvent], page: Page) -> str:
    """What the price was kept or returned by. Empty for an open booking."""
    reason = booking.end_reason
    if booking.status in HOLDS_SLOT or reason is None:
        return ""
    return f"{why_it_ended(reason, page.language)} {_clause(booking, reason, policy, events, page)}"


def fee(policy: BookingPolicy, page: Page) -> str:
    """The platform's part of what is kept."""
    percent = page.language.percent
    text = page.say("The platform keeps %(portion)s of what the student pays.", portion=percent(policy.fee_bps))
    if policy.fee_tax_bps:
        text += " " + page.say("That includes tax at %(portion)s.", portion=percent(policy.fee_tax_bps))
    return text


def secured(plan: PaymentPlan, page: Page) -> str:
    if plan is PaymentPlan.HOLD:
        return page.say("The session is near enough for a hold on the card, which is captured after it.")
    return page.say("A hold would not last until the session: the share is transferred after it.")


def borne(bearer: LossBearer, page: Page) -> str:
    if bearer is LossBearer.PLATFORM:
        return page.say("The platform bears it alone.")
    return page.say("The platform gives back its fee in proportion, and the instructor bears the rest.")


def _clause(
    booking: BookingForOperator, reason: EndReason, policy: BookingPolicy, events: list[TracedEvent], page: Page
) -> str:
    say, percent = page.say, page.language.percent
    match reason:
        case EndReason.CANCELLED:
            return _cancelled(booking, policy, events, page)
        case EndReason.STUDENT_ABSENT:
            return _absent(policy, page)
        case EndReason.COMPLETION_TIMEOUT if policy.on_completion_timeout is CompletionTimeoutPolicy.SETTLE:
            return say("Silence until the deadline counts as held: the whole price is kept.")
        case EndReason.COMPLETED:
            return say("A session that took place is paid in full.")
        case EndReason.NO_SHOW_REFUTED:
            portion = percent(policy.joint_presence_bps)
            return say("Both were there together for %(portion)s of its length or more: paid in full.", portion=portion)
        case EndReason.SETTLED_BY_OPERATOR | EndReason.RELEASED_BY_OPERATOR | EndReason.REFUNDED_BY_OPERATOR:
            return say("An operator decided, not the policy.")
        case EndReason.APPROVAL_TIMEOUT:
            time = window(policy.deadlines.approval_window, page.language)
            return say("The instructor has at most %(time)s to answer. After that, everything is returned.", time=time)
    return say("In this case, everything is returned to the student.")


def _cancelled(booking: BookingForOperator, policy: BookingPolicy, events: list[TracedEvent], page: Page) -> str:
    say = page.say
    event = next((each for each in reversed(events) if each.action == "booking.cancelled"), None)
    if event is None or event.by is not Role.STUDENT:
        if event and event.detail.get("kept_minor"):
            return say("Its workflow was ended from outside: what had been captured by then is kept.")
        return say("Only a student's cancellation costs anything: everything is returned.")
    if booking.session is None:
        return say("A request that is not confirmed yet can be cancelled at no cost.")
    if tier := _tier(booking.price.total, policy, event.detail.get("kept_minor")):
        return say(
            "Cancelled %(time)s or more before the start: the student gets %(portion)s back.",
            time=window(tier.before, page.language),
            portion=page.language.percent(tier.refund_bps),
        )
    if event.at > booking.starts_at:
        return _absent(policy, page)
    return say("Cancelled too near to the start: nothing is returned.")


def _tier(price: Money, policy: BookingPolicy, kept_minor: object) -> CancellationTier | None:
    """By what was kept, since an ending may be recorded long after it was decided."""
    tiers = policy.cancellation.tiers
    return next(
        (each for each in tiers if kept_on_student_cancellation(price, policy, each.before).amount_minor == kept_minor),
        None,
    )


def _absent(policy: BookingPolicy, page: Page) -> str:
    """Never less than what a cancellation at the start would have kept."""
    last = policy.cancellation.tiers[-1] if policy.cancellation.tiers else None
    at_start = BASIS_POINTS - (last.refund_bps if last and not last.before else 0)
    kept = page.language.percent(max(policy.student_absent_kept_bps, at_start))
    return page.say(
        "A student who does not come pays %(portion)s: never less than for a cancellation at the start.", portion=kept
    )
