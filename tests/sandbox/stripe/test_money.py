"""Rounding, fees, proportional shares and formatting."""

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.stripe.money import CARD_FEE, ProcessingFee, formatted, half_up, proportional_part

AMOUNTS = st.integers(0, 99_999_999)


@given(numerator=AMOUNTS, denominator=st.integers(1, 10_000))
def test_half_up_rounds_half_a_unit_up(numerator: int, denominator: int) -> None:
    assert half_up(numerator, denominator) == floor(Fraction(numerator, denominator) + Fraction(1, 2))


@given(amount=AMOUNTS)
def test_processing_fee_is_within_half_a_unit_of_its_rate(amount: int) -> None:
    assert abs(Fraction(amount * 29, 1_000) + 30 - CARD_FEE.of(amount)) <= Fraction(1, 2)


def test_processing_fee_is_capped() -> None:
    fee = ProcessingFee(80, 0, 500)
    assert [fee.of(10_000), fee.of(62_500), fee.of(1_000_000)] == [80, 500, 500]


@given(whole=AMOUNTS, steps=st.lists(st.integers(1, 10_000), min_size=1))
def test_proportional_parts_add_up_to_the_whole(whole: int, steps: list[int]) -> None:
    total, done, distributed = sum(steps), 0, 0
    for step in steps:
        part = proportional_part(whole, done, done + step, total)
        assert part >= 0
        distributed += part
        done += step
    assert distributed == whole


@pytest.mark.parametrize(
    ("whole", "part", "of", "rounded"), [(1_100, 1, 3, 367), (1_356, 1, 10, 136), (1_354, 1, 10, 135)]
)
def test_proportional_part_rounds_to_the_nearest_unit(whole: int, part: int, of: int, rounded: int) -> None:
    assert proportional_part(whole, 0, part, of) == rounded


def test_amounts_are_formatted_with_their_currencys_decimals() -> None:
    shown = [formatted(123_456, currency) for currency in ("usd", "jpy", "kwd", "sek")]
    assert shown == ["$1,234.56", "¥123,456", "123.456 kwd", "1,234.56 sek"]
