"""Hypothesis strategies for amounts, tiers and policies."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from hypothesis import strategies as st

from models.domain.money import BASIS_POINTS, Money, Rounding, minimum_charge, step_minor
from models.domain.policy import (
    PRESETS,
    BookingPolicy,
    CancellationPolicy,
    CancellationTier,
    CompletionTimeoutPolicy,
    PaymentPlan,
)
from models.domain.terms import BookingTerms

# With 0, 2 and 3 decimals, and those that Stripe accepts in whole units only.
CURRENCIES = ["usd", "eur", "jpy", "krw", "bhd", "kwd", "isk", "ugx"]

_MAX_CHARGE_MINOR = 99_999_999


def amounts(currency: str) -> st.SearchStrategy[Money]:
    """Zero and above, in the steps that Stripe accepts."""
    step = step_minor(currency)
    most = (_MAX_CHARGE_MINOR - minimum_charge(currency).amount_minor) // step
    return st.integers(0, most).map(lambda steps: Money(amount_minor=steps * step, currency=currency))


def prices() -> st.SearchStrategy[Money]:
    """Anything that Stripe can charge."""

    def of(currency: str) -> st.SearchStrategy[Money]:
        return amounts(currency).map(lambda amount: amount + minimum_charge(currency))

    return st.sampled_from(CURRENCIES).flatmap(of)


@st.composite
def tiers(draw: st.DrawFn) -> CancellationPolicy:
    hours = sorted(draw(st.sets(st.integers(0, 24 * 30), max_size=6)), reverse=True)
    refunds = sorted(
        draw(st.lists(st.integers(0, BASIS_POINTS), min_size=len(hours), max_size=len(hours))), reverse=True
    )
    drawn = [
        CancellationTier(before=timedelta(hours=hour), refund_bps=refund_bps)
        for hour, refund_bps in zip(hours, refunds, strict=True)
    ]
    return CancellationPolicy(name="drawn", tiers=tuple(drawn))


def policies() -> st.SearchStrategy[BookingPolicy]:
    return st.builds(
        BookingPolicy,
        fee_bps=st.integers(0, BASIS_POINTS),
        rounding=st.sampled_from(list(Rounding)),
        cancellation=st.sampled_from(list(PRESETS.values())) | tiers(),
        student_absent_kept_bps=st.integers(0, BASIS_POINTS),
        on_completion_timeout=st.sampled_from(list(CompletionTimeoutPolicy)),
    )


def times_left() -> st.SearchStrategy[timedelta]:
    """Time until the start; negative after it."""
    return st.timedeltas(min_value=timedelta(days=-2), max_value=timedelta(days=40))


STARTS_AT = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)


def _terms(price: Money, policy: BookingPolicy) -> BookingTerms:
    return BookingTerms(
        booking_id=uuid4(),
        student_id=uuid4(),
        instructor_id=uuid4(),
        offering_id=uuid4(),
        slot_id=uuid4(),
        starts_at=STARTS_AT,
        ends_at=STARTS_AT + timedelta(hours=1),
        price=price,
        policy=policy,
        plan=PaymentPlan.HOLD,
        stripe_account_id="acct_1",
    )


def terms() -> st.SearchStrategy[BookingTerms]:
    return st.builds(_terms, prices(), policies())
