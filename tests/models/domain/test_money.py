"""Money: minor units with a currency, Stripe's decimals and steps, named rounding."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.domain.money import (
    BASIS_POINTS,
    SUPPORTED,
    CurrencyMismatch,
    Money,
    Rounding,
    chargeable,
    exponent,
    minimum_charge,
    not_accepted,
    step_minor,
)
from sandbox.stripe import money as sandbox_money
from tests.models.strategies import CURRENCIES, amounts

# Stripe, "Supported currencies", "Three-decimal currencies".
THREE_DECIMALS = ("bhd", "jod", "kwd", "omr", "tnd")
ONE_OF_EACH_KIND = ["usd", "jpy", "bhd", "isk", "ugx", "mga", "idr"]


@pytest.mark.parametrize(
    ("currency", "decimals", "step"),
    [("usd", 2, 1), ("jpy", 0, 1), ("bhd", 3, 10), ("isk", 2, 100), ("ugx", 2, 100), ("mga", 0, 1), ("idr", 2, 1)],
)
def test_decimals_and_steps_match_stripe(currency: str, decimals: int, step: int) -> None:
    assert (exponent(currency), step_minor(currency)) == (decimals, step)


@pytest.mark.parametrize(
    ("amount_minor", "currency", "formatted"),
    [
        (10_000, "usd", "100.00 USD"),
        (5, "usd", "0.05 USD"),
        (-1_234, "eur", "-12.34 EUR"),
        (1_500, "jpy", "1500 JPY"),
        (1_230, "bhd", "1.230 BHD"),
        (0, "usd", "0.00 USD"),
        (2**53 + 1, "usd", "90071992547409.93 USD"),
    ],
)
def test_format_is_exact(amount_minor: int, currency: str, formatted: str) -> None:
    assert Money(amount_minor=amount_minor, currency=currency).format() == formatted


@given(amounts("usd"), amounts("jpy"))
def test_mixing_currencies_raises(dollars: Money, yen: Money) -> None:
    with pytest.raises(CurrencyMismatch):
        _ = dollars + yen
    with pytest.raises(CurrencyMismatch):
        _ = dollars - yen
    with pytest.raises(CurrencyMismatch):
        _ = dollars < yen
    assert dollars != yen


@pytest.mark.parametrize("amount", [1.0, "1", 1.5, None])
def test_amount_must_be_an_integer(amount: object) -> None:
    with pytest.raises(ValidationError):
        Money.model_validate({"amount_minor": amount, "currency": "usd"})


@pytest.mark.parametrize("currency", ["USD", "us", "usdt", "", "u5d"])
def test_currency_must_be_three_lower_case_letters(currency: str) -> None:
    with pytest.raises(ValidationError):
        Money(amount_minor=1, currency=currency)


@given(st.sampled_from(CURRENCIES).flatmap(lambda currency: st.tuples(amounts(currency), amounts(currency))))
def test_arithmetic_and_order_follow_the_amounts(pair: tuple[Money, Money]) -> None:
    one, other = pair
    assert (one + other).amount_minor == one.amount_minor + other.amount_minor
    assert one + other - other == one
    assert (one < other) == (one.amount_minor < other.amount_minor)
    assert bool(one) == (one.amount_minor != 0)
    assert not one.zero()


@given(st.sampled_from(CURRENCIES).flatmap(amounts), st.integers(0, BASIS_POINTS), st.sampled_from(list(Rounding)))
def test_portion_is_within_the_amount_and_rounded_to_a_step(whole: Money, bps: int, rounding: Rounding) -> None:
    part, step = whole.portion(bps, rounding), step_minor(whole.currency)
    exact = Fraction(whole.amount_minor * bps, BASIS_POINTS)
    assert 0 <= part.amount_minor <= whole.amount_minor
    assert part.amount_minor % step == 0
    assert abs(part.amount_minor - exact) < step
    if rounding is Rounding.DOWN:
        assert part.amount_minor <= exact
    else:
        assert abs(part.amount_minor - exact) * 2 <= step


@given(st.sampled_from(CURRENCIES).flatmap(amounts), st.sampled_from(list(Rounding)))
def test_portions_of_100_and_0_percent(whole: Money, rounding: Rounding) -> None:
    assert whole.portion(BASIS_POINTS, rounding) == whole
    assert whole.portion(0, rounding) == whole.zero()


@given(
    st.sampled_from(CURRENCIES).flatmap(amounts),
    st.lists(st.integers(0, BASIS_POINTS), min_size=2, max_size=2).map(sorted),
    st.sampled_from(list(Rounding)),
)
def test_portion_grows_with_the_basis_points(whole: Money, bps: list[int], rounding: Rounding) -> None:
    smaller, greater = bps
    assert whole.portion(smaller, rounding) <= whole.portion(greater, rounding)


@pytest.mark.parametrize(
    ("rounding", "halves"),
    [
        (Rounding.HALF_UP, [1, 2, 3]),
        (Rounding.HALF_EVEN, [0, 2, 2]),
        (Rounding.DOWN, [0, 1, 2]),
    ],
)
def test_halves_are_rounded_as_named(rounding: Rounding, halves: list[int]) -> None:
    assert [rounding.divide(numerator, 2) for numerator in (1, 3, 5)] == halves


@pytest.mark.parametrize(("amount_minor", "bps"), [(-1, 100), (100, -1), (100, BASIS_POINTS + 1)])
def test_portion_of_a_negative_amount_or_outside_0_to_100_percent_raises(amount_minor: int, bps: int) -> None:
    with pytest.raises(ValueError, match="no portion"):
        Money(amount_minor=amount_minor, currency="usd").portion(bps, Rounding.DOWN)


@pytest.mark.parametrize("currency", ONE_OF_EACH_KIND)
def test_minimum_charge_is_the_smallest_chargeable_amount(currency: str) -> None:
    minimum = minimum_charge(currency)
    assert chargeable(minimum) == minimum
    with pytest.raises(ValueError, match="below the least"):
        chargeable(Money(amount_minor=minimum.amount_minor - 1, currency=currency))


def test_unsupported_currency_cannot_be_charged() -> None:
    assert SUPPORTED == sandbox_money.SUPPORTED
    with pytest.raises(ValueError, match="zzz is no currency"):
        chargeable(Money(amount_minor=10_000, currency="zzz"))


@pytest.mark.parametrize(("amount_minor", "currency"), [(1_005, "bhd"), (10_050, "isk"), (10_001, "ugx")])
def test_amount_between_two_steps_cannot_be_charged(amount_minor: int, currency: str) -> None:
    with pytest.raises(ValueError, match="multiple of"):
        chargeable(Money(amount_minor=amount_minor, currency=currency))


def test_price_of_more_than_eight_digits_cannot_be_charged() -> None:
    assert chargeable(Money(amount_minor=99_999_999, currency="usd"))
    with pytest.raises(ValueError, match=r"above the most .* 99999.990 BHD"):
        chargeable(Money(amount_minor=100_000_000, currency="bhd"))


@pytest.mark.parametrize(
    ("amount_minor", "currency", "reason"),
    [
        (1, "usd", None),
        (0, "usd", "more than nothing"),
        (1_235, "kwd", "multiple of 10"),
        (150, "isk", "multiple of 100"),
        (100_000_000, "usd", "above the most"),
        (100, "zzz", "no currency"),
    ],
)
def test_refund_has_no_minimum_but_a_step_and_a_maximum(amount_minor: int, currency: str, reason: str | None) -> None:
    found = not_accepted(Money(amount_minor=amount_minor, currency=currency))
    assert reason in (found or "") if reason else found is None


# Stripe, "Supported currencies", "Minimum and maximum charge amounts", in each currency's units.
STRIPES_LEAST = """
    0.50 USD  2.00 AED  0.50 AUD  1.00 BGN  0.50 BRL  0.50 CAD  0.50 CHF  15.00 CZK  2.50 DKK  0.50 EUR  0.30 GBP
    4.00 HKD  175.00 HUF  0.50 INR  50 JPY  10.00 MXN  2.00 MYR  3.00 NOK  0.50 NZD  2.00 PLN  2.00 RON  3.00 SEK
    0.50 SGD  10.00 THB
"""


def test_the_least_that_can_be_charged_is_stripes() -> None:
    words = STRIPES_LEAST.split()
    least = {currency.lower(): f"{amount} {currency}" for amount, currency in zip(words[::2], words[1::2], strict=True)}
    assert {currency: minimum_charge(currency).format() for currency in least} == least
    # Stripe publishes none for the others: the smallest amount that it takes.
    for currency in SUPPORTED - set(least):
        assert minimum_charge(currency).amount_minor == {"isk": 100, "ugx": 100}.get(
            currency, 10 if currency in THREE_DECIMALS else 1
        )
