"""Shares of a charge that Stripe has converted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain.conversions import Conversion
from models.domain.money import CurrencyMismatch, Money


def conversion(charged: int, settled: int, currency: str = "eur") -> Conversion:
    return Conversion(
        charged=Money(amount_minor=charged, currency="usd"), settled=Money(amount_minor=settled, currency=currency)
    )


def usd(amount_minor: int) -> Money:
    return Money(amount_minor=amount_minor, currency="usd")


@pytest.mark.parametrize(
    ("charged", "settled", "currency", "share", "converted"),
    [
        (10_000, 9_200, "eur", 8_000, 7_360),
        (10_000, 9_200, "eur", 7_994, 7_354),  # 73.5448 EUR
        (10_000, 15_012, "jpy", 3_333, 5_003),  # 5003.4996 yen
        (10_000, 30_790, "kwd", 8_005, 24_640),  # 24.647395 dinars, which Stripe takes in steps of 0.010
    ],
)
def test_share_is_the_same_part_of_both_amounts_rounded_down(
    charged: int, settled: int, currency: str, share: int, converted: int
) -> None:
    assert conversion(charged, settled, currency).of(usd(share)) == Money(amount_minor=converted, currency=currency)


def test_a_share_in_another_currency_is_refused() -> None:
    with pytest.raises(CurrencyMismatch):
        conversion(10_000, 9_200).of(Money(amount_minor=1, currency="gbp"))


@given(st.data(), st.integers(50, 10**8), st.integers(1, 10**10))
def test_shares_are_never_more_than_what_was_settled(data: st.DataObject, charged: int, settled: int) -> None:
    rate, first = conversion(charged, settled), data.draw(st.integers(0, charged))
    parts = rate.of(usd(first)).amount_minor, rate.of(usd(charged - first)).amount_minor
    assert settled - 1 <= sum(parts) <= settled
    assert rate.of(usd(charged)).amount_minor == settled


@given(st.data(), st.integers(50, 10**8), st.integers(1, 10**10))
def test_what_was_transferred_is_converted_back_to_a_share_of_it(
    data: st.DataObject, charged: int, settled: int
) -> None:
    rate, share = conversion(charged, settled), usd(data.draw(st.integers(0, charged)))
    back = rate.back(rate.of(share).amount_minor)
    assert back <= share
    assert rate.of(back) == rate.of(share)
