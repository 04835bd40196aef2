"""Schemas of price and policy, and whether a price can be charged."""

from datetime import timedelta

from api.http.problems import Kind, Problem
from api.http.schema_types import ResponseModel
from models.domain.money import BASIS_POINTS, Currency, Money, chargeable
from models.domain.policy import (
    BookingPolicy,
    CancellationTier,
    CompletionTimeoutPolicy,
)


class Price(ResponseModel):
    total: Money
    """What the student pays."""
    platform_fee: Money
    """Included in the total: what the platform keeps if the session takes place."""
    instructor_payout: Money
    """What the instructor gets if the session takes place."""
    currency: Currency
    """Three lower-case letters, as in ISO 4217."""


class RefundTier(ResponseModel):
    before_seconds: int
    """A student who cancels at least this long before the start is refunded `refund_bps` of the price."""
    refund_bps: int
    """The share of the price that is refunded, in basis points: 5000 is half."""


class CancellationTerms(ResponseModel):
    name: str
    """`flexible`, `moderate`, `strict` or `custom`."""
    tiers: list[RefundTier]
    """Ordered from the longest notice to the shortest. After the last tier nothing is refunded."""


class NoShowTerms(ResponseModel):
    student_absent_refund_bps: int
    """At most what a cancellation at the start returns."""
    instructor_absent_refund_bps: int
    """Always everything: 10000."""


class PolicyDeadlines(ResponseModel):
    """How long each side has to act, in seconds."""

    pay_within_seconds: int
    """After the booking."""
    pay_again_within_seconds: int
    """After a declined card."""
    decide_within_seconds: int
    """After the payment, for the instructor."""
    report_within_seconds: int
    """After the session's end."""
    contest_within_seconds: int
    """After a reported no-show."""
    object_within_seconds: int
    """After a reported completion that the meeting's record does not show; 0 if it is settled at once."""
    pay_again_before_start_seconds: int
    """By how long before the start a hold that does not last until the session has to be replaced by a payment."""
    pay_late_within_seconds: int
    """How long the student has to pay what is due, if the hold had ended before it could be charged."""
    funds_kept_at_most_seconds: int
    """How long a payment that was charged when booking may be kept before it is transferred or refunded."""
    report_no_show_after_seconds: int
    """How long each side waits for the other, from the session's start."""


class Policy(ResponseModel):
    version: str
    """Changes whenever the policy does. A booking request can name it as `expected_policy_version`."""
    platform_fee_bps: int
    """The platform's share of the price, in basis points."""
    platform_fee_tax_bps: int
    """The rate of the tax that the platform's fee includes: 1900 for 19 %, and 0 for none."""
    cancellation: CancellationTerms
    """What a student who cancels is refunded."""
    no_show: NoShowTerms
    """What a student is refunded if somebody does not come."""
    on_completion_timeout: CompletionTimeoutPolicy
    """What happens to the hold if nobody says whether the session took place."""
    deadlines: PolicyDeadlines
    """How long each side has to act."""


def price(total: Money, fee: Money) -> Price:
    return Price(total=total, platform_fee=fee, instructor_payout=total - fee, currency=total.currency)


def policy(policy: BookingPolicy) -> Policy:
    deadlines = policy.deadlines
    return Policy(
        version=policy.version,
        platform_fee_bps=policy.fee_bps,
        platform_fee_tax_bps=policy.fee_tax_bps,
        cancellation=CancellationTerms(
            name=policy.cancellation.name,
            tiers=[tier(each) for each in policy.cancellation.tiers],
        ),
        no_show=NoShowTerms(
            student_absent_refund_bps=min(
                BASIS_POINTS - policy.student_absent_kept_bps, policy.cancellation.refund_bps(timedelta(0))
            ),
            instructor_absent_refund_bps=BASIS_POINTS,
        ),
        on_completion_timeout=policy.on_completion_timeout,
        deadlines=PolicyDeadlines(
            pay_within_seconds=seconds(deadlines.checkout_window),
            pay_again_within_seconds=seconds(deadlines.decline_grace),
            decide_within_seconds=seconds(deadlines.approval_window),
            report_within_seconds=seconds(deadlines.completion_window),
            contest_within_seconds=seconds(deadlines.contest_window),
            object_within_seconds=seconds(deadlines.objection_window),
            pay_again_before_start_seconds=seconds(deadlines.renewal_lead),
            pay_late_within_seconds=seconds(deadlines.late_payment_window),
            funds_kept_at_most_seconds=seconds(deadlines.holding_limit),
            report_no_show_after_seconds=seconds(policy.no_show_min_wait),
        ),
    )


def tier(tier: CancellationTier) -> RefundTier:
    return RefundTier(before_seconds=seconds(tier.before), refund_bps=tier.refund_bps)


def seconds(window: timedelta) -> int:
    return window // timedelta(seconds=1)


def ensure_chargeable(price: Money) -> Money:
    """Returns the price. Raises the 422 `Problem` if Stripe cannot charge it."""
    try:
        return chargeable(price)
    except ValueError as error:
        raise Problem(Kind.PRICE_NOT_CHARGEABLE, f"{error}.") from error
