"""A booking's terms in the words of a page: the steps of a refund, and windows of time."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from api.pricing import CancellationTerms
from models.domain.money import Money
from models.domain.policy import (
    BookingPolicy,
    CancellationPolicy,
    CancellationTier,
    kept_on_student_cancellation,
)
from models.languages import Language


class RefundStep(NamedTuple):
    when: str
    refund: str
    portion_bps: int


def cancellation_policy(shown: CancellationTerms) -> CancellationPolicy:
    """From the API's JSON to the domain's value."""
    tiers = (
        CancellationTier(before=timedelta(seconds=tier.before_seconds), refund_bps=tier.refund_bps)
        for tier in shown.tiers
    )
    return CancellationPolicy(name=shown.name, tiers=tuple(tiers))


def refund_steps(policy: BookingPolicy, language: Language, price: Money | None = None) -> Sequence[RefundStep]:
    """What a student gets back who cancels in each period, from the earliest to the start of the session."""
    say, tiers = language.gettext, policy.cancellation.tiers
    steps = []
    for tier in tiers:
        when = say("until the start")
        if tier.before:
            when = say("until %(time)s before the start", time=window(tier.before, language))
        refund = language.percent(tier.refund_bps)
        if price is not None:
            back = price - kept_on_student_cancellation(price, policy, tier.before)
            refund = f"{refund} ({language.money(back)})"
        steps.append(RefundStep(when, refund, tier.refund_bps))
    if not tiers or tiers[-1].before:
        when = say("after that") if steps else say("at any time after the confirmation")
        steps.append(RefundStep(when, say("nothing"), 0))
    return steps


def window(time: timedelta, language: Language) -> str:
    """`3 days`, `24 hours`, `90 minutes`: in the largest unit that needs no other."""
    minutes = time // timedelta(minutes=1)
    days, rest = divmod(minutes, 24 * 60)
    if days > 1 and not rest:
        return language.days(days)
    return language.hours(minutes // 60) if minutes and minutes % 60 == 0 else language.minutes(minutes)
