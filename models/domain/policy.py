"""The platform's rules about money and time, as values: no clock, no database, no Stripe.

A `BookingPolicy` is frozen on a booking when the booking is made. Later changes of the platform's settings or of the
offering do not affect it.
"""

import hashlib
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from models.domain.base import Value
from models.domain.money import BASIS_POINTS, Money, Rounding, not_accepted

_VERSION_LENGTH = 16


class PaymentPlan(StrEnum):
    """How a booking's money is secured until the session has taken place."""

    HOLD = "HOLD"
    """The payment method is authorized, and captured after the session: a destination charge with manual capture."""
    CHARGE_THEN_TRANSFER = "CHARGE_THEN_TRANSFER"
    """The student is charged when they book, and the instructor's share is transferred after the session."""


class CompletionTimeoutPolicy(StrEnum):
    """What happens to the money if nobody reports by the deadline whether the session took place."""

    RELEASE = "RELEASE"
    SETTLE = "SETTLE"


class FraudWarningPolicy(StrEnum):
    """What happens if the card's bank warns that a captured payment may be fraudulent."""

    ATTENTION = "ATTENTION"
    """An operator decides."""
    REFUND = "REFUND"
    """All that is left is refunded, before the bank opens a dispute."""


class LossBearer(StrEnum):
    """Who bears a refund or a lost dispute."""

    BOTH = "BOTH"
    """The instructor bears their share, the platform its fee."""
    PLATFORM = "PLATFORM"


class CancellationTier(Value):
    """A student who cancels at least `before` the start gets `refund_bps` of the price back."""

    before: timedelta = Field(ge=timedelta(0))
    refund_bps: int = Field(ge=0, le=BASIS_POINTS)


class CancellationPolicy(Value):
    """Tiers from the earliest to the latest. After the last one, nothing is refunded."""

    name: str
    tiers: tuple[CancellationTier, ...]

    @model_validator(mode="after")
    def _tiers_descend(self) -> Self:
        for earlier, later in zip(self.tiers, self.tiers[1:], strict=False):
            if later.before >= earlier.before or later.refund_bps > earlier.refund_bps:
                raise ValueError("each tier must lie nearer to the start, and refund no more, than the one before")
        return self

    def refund_bps(self, time_left: timedelta) -> int:
        """The refund, in basis points, for a cancellation by the student `time_left` before the start."""
        tier = self.tier(time_left)
        return tier.refund_bps if tier else 0

    def tier(self, time_left: timedelta) -> CancellationTier | None:
        """The tier that applies `time_left` before the start; `None` after the last one."""
        return next((tier for tier in self.tiers if time_left >= tier.before), None)


def _tier(hours: int, refund_bps: int) -> CancellationTier:
    return CancellationTier(before=timedelta(hours=hours), refund_bps=refund_bps)


FLEXIBLE = CancellationPolicy(name="flexible", tiers=(_tier(2, 10_000),))
MODERATE = CancellationPolicy(name="moderate", tiers=(_tier(24, 10_000), _tier(2, 5_000)))
STRICT = CancellationPolicy(name="strict", tiers=(_tier(72, 10_000), _tier(24, 5_000)))
PRESETS = {policy.name: policy for policy in (FLEXIBLE, MODERATE, STRICT)}


SHORTEST_CHECKOUT = timedelta(hours=1)
LONGEST_CHECKOUT = timedelta(hours=23)
"""Stripe closes a Checkout page 30 minutes to 24 hours after its creation (Stripe API, "Create a Checkout Session",
`expires_at`); these bounds leave room for late retries. A shorter window is enforced by expiring the session."""


class Deadlines(Value):
    """How long each side has."""

    checkout_window: timedelta = timedelta(minutes=30)
    """From booking to payment."""
    decline_grace: timedelta = timedelta(minutes=5)
    """From a declined card to payment with another one."""
    approval_window: timedelta = timedelta(hours=24)
    """From payment to the instructor's decision."""
    completion_window: timedelta = timedelta(hours=24)
    """From the session's end to a report of whether it took place."""
    contest_window: timedelta = timedelta(0)
    """How long the other side can contest a reported no-show. Zero in histories from before contests."""
    objection_window: timedelta = timedelta(0)
    """How long the student can object to a reported completion that the meeting's record does not show."""
    hold_margin: timedelta = timedelta(hours=6)
    """How long before the end of a hold Holdfast acts on it."""
    holding_limit: timedelta = timedelta(days=90)
    """How long the platform may keep a charged payment before it is transferred or refunded."""
    renewal_lead: timedelta = timedelta(hours=24)
    """By how long before the session a payment that needs it has to be made again."""
    late_payment_window: timedelta = timedelta(days=3)
    """How long the student has to pay for a session that took place after its hold had ended."""

    @model_validator(mode="after")
    def _none_is_negative(self) -> Self:
        if any(window < timedelta(0) for window in dict(self).values()):
            raise ValueError("a window of time cannot be negative")
        if self.checkout_window > LONGEST_CHECKOUT:
            raise ValueError("checkout_window can be 23 hours at most: Stripe closes a Checkout page after 24")
        return self


class BookingPolicy(Value):
    """Everything that decides who gets what, and by when."""

    fee_bps: int = Field(default=2_000, ge=0, le=BASIS_POINTS)
    """The platform's portion of what is kept."""
    fee_tax_bps: int = Field(default=0, ge=0, le=BASIS_POINTS)
    """The tax in the platform's fee, on top of the fee without tax: 1900 for 19 %."""
    rounding: Rounding = Rounding.HALF_UP
    cancellation: CancellationPolicy = MODERATE
    student_absent_kept_bps: int = Field(default=5_000, ge=0, le=BASIS_POINTS)
    """The portion of the price that is kept if the student does not come."""
    joint_presence_bps: int = Field(default=5_000, ge=0, le=BASIS_POINTS)
    """If both were together for this portion of the session's planned length, it has taken place."""
    no_show_min_wait: timedelta = timedelta(minutes=10)
    """How long a party waits before reporting that the other did not come, and what proves that the student did not."""
    on_completion_timeout: CompletionTimeoutPolicy = CompletionTimeoutPolicy.RELEASE
    lost_dispute_borne_by: LossBearer = LossBearer.BOTH
    on_fraud_warning: FraudWarningPolicy = FraudWarningPolicy.ATTENTION
    deadlines: Deadlines = Deadlines()

    @property
    def version(self) -> str:
        """The same for equal policies only. Whoever was shown a policy can name it by its version."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:_VERSION_LENGTH]


class Split(Value):
    """What is kept of a payment, and for whom: `platform_fee + instructor_payout == kept`."""

    kept: Money
    platform_fee: Money
    instructor_payout: Money


def split(kept: Money, policy: BookingPolicy) -> Split:
    """The platform's fee is a portion of what is kept; the instructor gets the rest."""
    fee = kept.portion(policy.fee_bps, policy.rounding)
    return Split(kept=kept, platform_fee=fee, instructor_payout=kept - fee)


def kept_on_student_cancellation(price: Money, policy: BookingPolicy, time_left: timedelta) -> Money:
    return _capturable(price - price.portion(policy.cancellation.refund_bps(time_left), policy.rounding))


def kept_on_student_absence(price: Money, policy: BookingPolicy) -> Money:
    """Not coming is never cheaper than cancelling at the start."""
    kept = _capturable(price.portion(policy.student_absent_kept_bps, policy.rounding))
    return max(kept, kept_on_student_cancellation(price, policy, timedelta(0)))


def _capturable(kept: Money) -> Money:
    """Stripe captures no amount below its minimum: nothing is kept then."""
    return kept.zero() if not_accepted(kept, is_charge=True) else kept


def checkout_deadline(deadlines: Deadlines, booked_at: datetime, starts_at: datetime) -> datetime:
    return min(booked_at + deadlines.checkout_window, starts_at)


def checkout_page_ends(booked_at: datetime, deadline_at: datetime) -> datetime:
    """When Stripe is to close the page: never before Holdfast's own deadline, and within Stripe's limits."""
    return min(max(deadline_at, booked_at + SHORTEST_CHECKOUT), booked_at + LONGEST_CHECKOUT)


def approval_deadline(
    deadlines: Deadlines, authorized_at: datetime, starts_at: datetime, hold_ends_at: datetime
) -> datetime:
    """The earliest of: the end of the approval window, the session's start, and the hold's end less the margin."""
    return min(authorized_at + deadlines.approval_window, starts_at, hold_ends_at - deadlines.hold_margin)


def completion_deadline(deadlines: Deadlines, ends_at: datetime, hold_ends_at: datetime) -> datetime:
    return min(ends_at + deadlines.completion_window, hold_ends_at - deadlines.hold_margin)


def latest_end(deadlines: Deadlines, hold_ends_at: datetime) -> datetime:
    """The latest end of a session for which the hold covers the whole completion and objection windows."""
    return hold_ends_at - deadlines.hold_margin - deadlines.completion_window - deadlines.objection_window


def is_hold_too_short(deadlines: Deadlines, ends_at: datetime, hold_ends_at: datetime) -> bool:
    """Whether the hold ends before a session that ends at `ends_at` could be completed."""
    return hold_ends_at - deadlines.hold_margin < ends_at


def renewal_deadline(
    deadlines: Deadlines, now: datetime, starts_at: datetime, hold_ends_at: datetime | None
) -> datetime:
    """By when the student has to pay again, in time for both sides: they keep at least half of the time that is left.

    `hold_ends_at`: the end of the hold that is to be replaced; `None` if it has ended.
    """
    latest = max(starts_at - deadlines.renewal_lead, now + (starts_at - now) / 2)
    if hold_ends_at is None:
        return latest
    return min(latest, max(hold_ends_at - deadlines.hold_margin, now))
