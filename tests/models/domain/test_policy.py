"""Properties of the policy: splits add up, and no amount is negative or above the price."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.domain.money import BASIS_POINTS, Money, Rounding, not_accepted, step_minor
from models.domain.payment_plans import EXPECTED_HOLD
from models.domain.policy import (
    FLEXIBLE,
    LONGEST_CHECKOUT,
    MODERATE,
    PRESETS,
    SHORTEST_CHECKOUT,
    STRICT,
    BookingPolicy,
    CancellationPolicy,
    CancellationTier,
    Deadlines,
    approval_deadline,
    checkout_deadline,
    checkout_page_ends,
    completion_deadline,
    is_hold_too_short,
    kept_on_student_absence,
    kept_on_student_cancellation,
    latest_end,
    split,
)
from tests.models.strategies import policies, prices, times_left

HUNDRED = Money(amount_minor=10_000, currency="usd")
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NOW = datetime(2026, 12, 1, 10, tzinfo=UTC)

moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
windows = st.timedeltas(timedelta(0), timedelta(days=3))


@given(prices(), policies())
def test_split_adds_up_and_is_never_negative(price: Money, policy: BookingPolicy) -> None:
    parts = split(price, policy)
    assert parts.platform_fee + parts.instructor_payout == parts.kept == price
    assert parts.platform_fee >= price.zero()
    assert parts.instructor_payout >= price.zero()
    assert parts.platform_fee.amount_minor % step_minor(price.currency) == 0


@given(prices(), policies(), times_left())
def test_cancellation_keeps_at_most_the_price_and_splits_without_loss(
    price: Money, policy: BookingPolicy, time_left: timedelta
) -> None:
    kept = kept_on_student_cancellation(price, policy, time_left)
    refund = price - kept
    assert price.zero() <= refund <= price
    assert kept.amount_minor % step_minor(price.currency) == 0
    parts = split(kept, policy)
    assert parts.platform_fee + parts.instructor_payout + refund == price
    assert not kept or not_accepted(kept, is_charge=True) is None


@given(prices(), policies())
def test_student_absence_keeps_at_most_the_price(price: Money, policy: BookingPolicy) -> None:
    kept = kept_on_student_absence(price, policy)
    assert price.zero() <= kept <= price
    assert kept.amount_minor % step_minor(price.currency) == 0
    assert not kept or not_accepted(kept, is_charge=True) is None


@given(prices(), policies(), times_left(), st.timedeltas(timedelta(0), timedelta(days=40)))
def test_cancelling_earlier_never_costs_more(
    price: Money, policy: BookingPolicy, time_left: timedelta, earlier_by: timedelta
) -> None:
    late = kept_on_student_cancellation(price, policy, time_left)
    early = kept_on_student_cancellation(price, policy, time_left + earlier_by)
    assert early <= late


@given(prices(), policies())
def test_rounding_modes_order_the_fee(price: Money, policy: BookingPolicy) -> None:
    fees = {
        rounding: split(price, policy.model_copy(update={"rounding": rounding})).platform_fee for rounding in Rounding
    }
    assert fees[Rounding.DOWN] <= fees[Rounding.HALF_EVEN] <= fees[Rounding.HALF_UP]


@given(policies())
def test_policy_survives_a_json_round_trip(policy: BookingPolicy) -> None:
    assert BookingPolicy.model_validate(policy.model_dump(mode="json")) == policy


def test_default_fee_is_20_percent() -> None:
    parts = split(HUNDRED, BookingPolicy())
    assert (parts.platform_fee.amount_minor, parts.instructor_payout.amount_minor) == (2_000, 8_000)


def test_not_coming_is_never_cheaper_than_cancelling_at_the_start() -> None:
    for preset in PRESETS.values():
        assert kept_on_student_absence(HUNDRED, BookingPolicy(cancellation=preset)) == HUNDRED
    lenient = CancellationPolicy(name="lenient", tiers=(CancellationTier(before=timedelta(0), refund_bps=10_000),))
    assert kept_on_student_absence(HUNDRED, BookingPolicy(cancellation=lenient)).amount_minor == 5_000


@pytest.mark.parametrize(
    ("preset", "time_left", "refund_bps"),
    [
        (FLEXIBLE, 2 * HOUR, 10_000),
        (FLEXIBLE, 2 * HOUR - timedelta(microseconds=1), 0),
        (MODERATE, 24 * HOUR, 10_000),
        (MODERATE, 24 * HOUR - timedelta(microseconds=1), 5_000),
        (MODERATE, 2 * HOUR, 5_000),
        (MODERATE, 2 * HOUR - timedelta(microseconds=1), 0),
        (STRICT, 72 * HOUR, 10_000),
        (STRICT, 72 * HOUR - timedelta(microseconds=1), 5_000),
        (STRICT, 24 * HOUR, 5_000),
        (STRICT, 24 * HOUR - timedelta(microseconds=1), 0),
        (STRICT, -HOUR, 0),
    ],
)
def test_preset_refunds_are_exact_to_the_microsecond(
    preset: CancellationPolicy, time_left: timedelta, refund_bps: int
) -> None:
    assert preset.refund_bps(time_left) == refund_bps


def test_presets_are_keyed_by_name_and_moderate_is_the_default() -> None:
    assert {name: preset.name for name, preset in PRESETS.items()} == {name: name for name in PRESETS}
    assert set(PRESETS) == {"flexible", "moderate", "strict"}
    assert BookingPolicy().cancellation == MODERATE


@pytest.mark.parametrize(
    "tiers",
    [((2, 5_000), (24, 10_000)), ((2, 10_000), (24, 5_000)), ((24, 5_000), (2, 10_000)), ((24, 10_000), (24, 5_000))],
    ids=["reversed", "later tier first", "higher refund for less notice", "two tiers at the same time"],
)
def test_tiers_in_a_wrong_order_are_refused(tiers: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValidationError, match="nearer to the start"):
        CancellationPolicy(
            name="odd", tiers=tuple(CancellationTier(before=hours * HOUR, refund_bps=bps) for hours, bps in tiers)
        )


@pytest.mark.parametrize("bps", [-1, BASIS_POINTS + 1])
def test_basis_points_outside_0_to_10000_are_refused(bps: int) -> None:
    with pytest.raises(ValidationError):
        BookingPolicy(fee_bps=bps)
    with pytest.raises(ValidationError):
        BookingPolicy(student_absent_kept_bps=bps)
    with pytest.raises(ValidationError):
        CancellationTier(before=HOUR, refund_bps=bps)


@pytest.mark.parametrize("window", list(Deadlines.model_fields))
def test_negative_window_is_refused(window: str) -> None:
    with pytest.raises(ValidationError, match="negative"):
        Deadlines(**{window: -timedelta(microseconds=1)})


def test_checkout_window_above_stripes_limit_is_refused() -> None:
    with pytest.raises(ValidationError, match="23 hours"):
        Deadlines(checkout_window=LONGEST_CHECKOUT + timedelta(seconds=1))


@given(moments, moments, st.timedeltas(timedelta(0), LONGEST_CHECKOUT))
def test_checkout_ends_by_the_start_and_its_page_within_stripes_limits(
    booked_at: datetime, starts_at: datetime, window: timedelta
) -> None:
    deadline_at = checkout_deadline(Deadlines(checkout_window=window), booked_at, starts_at)
    assert deadline_at <= starts_at
    assert deadline_at <= booked_at + window
    page_ends_at = checkout_page_ends(booked_at, deadline_at)
    assert page_ends_at >= deadline_at
    assert SHORTEST_CHECKOUT <= page_ends_at - booked_at <= LONGEST_CHECKOUT


@given(moments, moments, moments, windows, windows)
def test_approval_deadline_is_before_the_start_and_the_end_of_the_hold(
    authorized_at: datetime, starts_at: datetime, hold_ends_at: datetime, window: timedelta, margin: timedelta
) -> None:
    deadlines = Deadlines(approval_window=window, hold_margin=margin)
    deadline_at = approval_deadline(deadlines, authorized_at, starts_at, hold_ends_at)
    assert deadline_at <= starts_at
    assert deadline_at + margin <= hold_ends_at
    assert deadline_at <= authorized_at + window
    assert deadline_at in (starts_at, hold_ends_at - margin, authorized_at + window)


@given(moments, moments, windows, windows)
def test_completion_deadline_is_before_the_end_of_the_hold(
    ends_at: datetime, hold_ends_at: datetime, window: timedelta, margin: timedelta
) -> None:
    deadline_at = completion_deadline(Deadlines(completion_window=window, hold_margin=margin), ends_at, hold_ends_at)
    assert deadline_at + margin <= hold_ends_at
    assert deadline_at <= ends_at + window


@given(moments, windows, windows)
def test_session_that_fits_the_hold_has_its_whole_completion_window(
    booked_at: datetime, window: timedelta, margin: timedelta
) -> None:
    deadlines = Deadlines(completion_window=window, hold_margin=margin)
    ends_at = latest_end(deadlines, booked_at + EXPECTED_HOLD)
    assert completion_deadline(deadlines, ends_at, booked_at + EXPECTED_HOLD) == ends_at + window


@pytest.mark.parametrize(
    ("window", "starts_in", "deadline_in"), [(30, 600, 30), (30, 20, 20), (0, 600, 0), (30, 30, 30)]
)
def test_a_slot_is_reserved_for_the_window_from_booking_on_or_until_the_start(
    window: int, starts_in: int, deadline_in: int
) -> None:
    deadlines = Deadlines(checkout_window=window * MINUTE)
    assert checkout_deadline(deadlines, NOW, NOW + starts_in * MINUTE) == NOW + deadline_in * MINUTE


def test_stripe_closes_a_checkout_page_within_a_day() -> None:
    """Stripe takes 30 minutes to 24 hours; an hour of that is for late retries."""
    assert Deadlines(checkout_window=23 * HOUR).checkout_window == 23 * HOUR
    assert checkout_page_ends(NOW, NOW + 30 * MINUTE) == NOW + HOUR
    assert checkout_page_ends(NOW, NOW + 2 * HOUR) == NOW + 2 * HOUR
    assert checkout_page_ends(NOW, NOW + 40 * HOUR) == NOW + 23 * HOUR


@pytest.mark.parametrize(("margin_left", "is_too_short"), [(-1, True), (0, False), (1, False)])
def test_a_hold_is_too_short_if_its_margin_begins_before_the_sessions_end(margin_left: int, is_too_short: bool) -> None:
    deadlines = Deadlines(hold_margin=6 * HOUR)
    assert is_hold_too_short(deadlines, NOW, NOW + 6 * HOUR + timedelta(microseconds=margin_left)) is is_too_short


def test_what_stripe_cannot_capture_is_not_kept() -> None:
    """Of 0.80 USD, half would be 0.40, and Stripe's least is 0.50."""
    half = BookingPolicy(cancellation=MODERATE)
    cents = Money(amount_minor=80, currency="usd")
    assert kept_on_student_cancellation(cents, half, 5 * HOUR) == cents.zero()
    assert kept_on_student_cancellation(HUNDRED, half, 5 * HOUR).amount_minor == 5_000


def test_the_latest_tier_can_be_at_the_start_and_not_after_it() -> None:
    at_the_start = CancellationTier(before=timedelta(0), refund_bps=0)
    assert at_the_start.before == timedelta(0)
    with pytest.raises(ValidationError):
        CancellationTier(before=timedelta(microseconds=-1), refund_bps=0)


@pytest.mark.parametrize("portion", ["fee_bps", "fee_tax_bps", "student_absent_kept_bps", "joint_presence_bps"])
def test_a_portion_is_from_nothing_to_all(portion: str) -> None:
    for bps in (0, BASIS_POINTS):
        assert getattr(BookingPolicy.model_validate({portion: bps}), portion) == bps
    for bps in (-1, BASIS_POINTS + 1):
        with pytest.raises(ValidationError):
            BookingPolicy.model_validate({portion: bps})


def test_equal_policies_have_one_version_and_others_another() -> None:
    assert BookingPolicy().version == BookingPolicy(fee_bps=2_000).version
    assert BookingPolicy().version != BookingPolicy(fee_bps=2_001).version
    assert len(BookingPolicy().version) == 16
