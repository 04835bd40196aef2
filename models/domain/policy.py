"""The platform's rules about money and time, as values: no clock, no database and no Stripe in here.

A `BookingPolicy` is frozen on a booking when it is made; later changes of the platform's settings or of the
offering leave that booking alone.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from models.domain.base import Value
from models.domain.money import BASIS_POINTS, Money, Rounding


class PaymentPlan(StrEnum):
    """How a booking's money is kept until the session took place."""

    HOLD = "HOLD"


class CompletionTimeoutPolicy(StrEnum):
    """What becomes of the money when nobody says by the deadline whether the session took place."""

    RELEASE = "RELEASE"
    SETTLE = "SETTLE"


class LossBearer(StrEnum):
    """Who bears what a refund or a lost dispute takes."""

    BOTH = "BOTH"
    """The instructor their share, the platform its fee."""
    PLATFORM = "PLATFORM"


class CancellationTier(Value):
    """A student who cancels at least `before` the start gets `refund_bps` of the price back."""

    before: timedelta = Field(ge=timedelta(0))
    refund_bps: int = Field(ge=0, le=BASIS_POINTS)


class CancellationPolicy(Value):
    """Tiers from the earliest to the latest; past the last one nothing goes back."""

    name: str
    tiers: tuple[CancellationTier, ...]

    @model_validator(mode="after")
    def _tiers_descend(self) -> Self:
        for earlier, later in zip(self.tiers, self.tiers[1:], strict=False):
            if later.before >= earlier.before or later.refund_bps > earlier.refund_bps:
                raise ValueError("each tier must lie nearer to the start, and refund no more, than the one before")
        return self

    def refund_bps(self, time_left: timedelta) -> int:
        """What a student gets back who cancels `time_left` before the start, in basis points."""
        tier = self.tier(time_left)
        return tier.refund_bps if tier else 0

    def tier(self, time_left: timedelta) -> CancellationTier | None:
        """The one that counts `time_left` before the start; `None` past the last."""
        return next((tier for tier in self.tiers if time_left >= tier.before), None)


def _tier(hours: int, refund_bps: int) -> CancellationTier:
    return CancellationTier(before=timedelta(hours=hours), refund_bps=refund_bps)


FLEXIBLE = CancellationPolicy(name="flexible", tiers=(_tier(2, 10_000),))
MODERATE = CancellationPolicy(name="moderate", tiers=(_tier(24, 10_000), _tier(2, 5_000)))
STRICT = CancellationPolicy(name="strict", tiers=(_tier(72, 10_000), _tier(24, 5_000)))
PRESETS = {policy.name: policy for policy in (FLEXIBLE, MODERATE, STRICT)}


SHORTEST_CHECKOUT = timedelta(hours=1)
LONGEST_CHECKOUT = timedelta(hours=23)
"""Stripe closes a Checkout page 30 minutes to 24 hours after it was made (Stripe API, "Create a Checkout Session",
`expires_at`); these leave room for tries that come late. A shorter window of ours is kept by expiring the session."""


class Deadlines(Value):
    """How long each side has."""

    checkout_window: timedelta = timedelta(minutes=30)
    """From booking to paying."""
    decline_grace: timedelta = timedelta(minutes=5)
    """From a declined card to paying with another."""
    approval_window: timedelta = timedelta(hours=24)
    """From paying to the instructor's decision."""
    completion_window: timedelta = timedelta(hours=24)
    """From the session's end to somebody saying what came of it."""
    contest_window: timedelta = timedelta(0)
    """From a reported no-show to its end, for the other side to contest it. None in histories from before contests."""
    hold_margin: timedelta = timedelta(hours=6)
    """How long before a hold's end Holdfast acts on it."""

    @model_validator(mode="after")
    def _none_is_negative(self) -> Self:
        if any(window < timedelta(0) for window in dict(self).values()):
            raise ValueError("a window of time cannot be negative")
        if self.checkout_window > LONGEST_CHECKOUT:
            raise ValueError("checkout_window can be 23 hours at most: Stripe closes a Checkout page after 24")
        return self


class BookingPolicy(Value):
    """All that decides who gets what, and by when."""

    fee_bps: int = Field(default=2_000, ge=0, le=BASIS_POINTS)
    """The platform's part of what is kept."""
    rounding: Rounding = Rounding.HALF_UP
    cancellation: CancellationPolicy = MODERATE
    student_absent_kept_bps: int = Field(default=5_000, ge=0, le=BASIS_POINTS)
    """The part of the price that is kept when the student does not come."""
    joint_presence_bps: int = Field(default=5_000, ge=0, le=BASIS_POINTS)
    """With both present for this part of the session's time so far, a contested no-show counts as held."""
    no_show_min_wait: timedelta = timedelta(minutes=10)
    """Who was present that long while the other never came has been let down."""
    on_completion_timeout: CompletionTimeoutPolicy = CompletionTimeoutPolicy.RELEASE
    lost_dispute_borne_by: LossBearer = LossBearer.BOTH
    deadlines: Deadlines = Deadlines()


class Split(Value):
    """What is kept of a payment and whose it is: `platform_fee + instructor_payout == kept`."""

    kept: Money
    platform_fee: Money
    instructor_payout: Money


def split(kept: Money, policy: BookingPolicy) -> Split:
    """The platform's fee is a portion of what is kept; the instructor gets the rest."""
    fee = kept.portion(policy.fee_bps, policy.rounding)
    return Split(kept=kept, platform_fee=fee, instructor_payout=kept - fee)


def kept_on_student_cancellation(price: Money, policy: BookingPolicy, time_left: timedelta) -> Money:
    return price - price.portion(policy.cancellation.refund_bps(time_left), policy.rounding)


def kept_on_student_absence(price: Money, policy: BookingPolicy) -> Money:
    return price.portion(policy.student_absent_kept_bps, policy.rounding)


def checkout_deadline(deadlines: Deadlines, booked_at: datetime, starts_at: datetime) -> datetime:
    return min(booked_at + deadlines.checkout_window, starts_at)


def checkout_page_ends(booked_at: datetime, deadline_at: datetime) -> datetime:
    """When Stripe itself is to close the page: never before our own deadline, and within what Stripe takes."""
    return min(max(deadline_at, booked_at + SHORTEST_CHECKOUT), booked_at + LONGEST_CHECKOUT)


def approval_deadline(
    deadlines: Deadlines, authorized_at: datetime, starts_at: datetime, hold_ends_at: datetime
) -> datetime:
    """The earliest of the instructor's window, the session's start and the hold's end less the margin."""
    return min(authorized_at + deadlines.approval_window, starts_at, hold_ends_at - deadlines.hold_margin)


def completion_deadline(deadlines: Deadlines, ends_at: datetime, hold_ends_at: datetime) -> datetime:
    return min(ends_at + deadlines.completion_window, hold_ends_at - deadlines.hold_margin)


def latest_end(deadlines: Deadlines, hold_ends_at: datetime) -> datetime:
    """Of a session whose money a hold can keep until both sides have had their time to say what came of it."""
    return hold_ends_at - deadlines.hold_margin - deadlines.completion_window


HOLD_LASTS = timedelta(days=7)
"""What a card's hold usually lasts (Stripe, "Place a hold on a payment method"). It serves to choose a plan before
there is a hold; from the authorization on, the charge's `capture_before` counts."""


def last_end_for_hold(deadlines: Deadlines, booked_at: datetime) -> datetime:
    """The latest end of a session whose money a hold, placed at `booked_at`, can keep until it is decided."""
    return latest_end(deadlines, booked_at + HOLD_LASTS)
