"""The tax in the platform's fee, and how it follows the fee that is left."""

from collections import Counter
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain import postings
from models.domain.fee_tax import fee_in, fee_tax, with_tax
from models.domain.ledger import Account, Posting
from models.domain.money import Money, Rounding, step_minor
from models.domain.policy import BookingPolicy, split
from models.domain.postings import Parties, Shares
from tests.models.strategies import CURRENCIES, amounts

PARTIES = Parties(booking_id=uuid4(), instructor_id=uuid4())


def money(amount_minor: int, currency: str = "usd") -> Money:
    return Money(amount_minor=amount_minor, currency=currency)


@pytest.mark.parametrize(
    ("fee", "bps", "rounding", "tax"),
    [
        (money(11_900), 1_900, Rounding.HALF_UP, 1_900),
        (money(2_000), 1_900, Rounding.HALF_UP, 319),
        (money(2_000), 1_900, Rounding.DOWN, 319),
        (money(2_000), 0, Rounding.HALF_UP, 0),
        (money(21), 500, Rounding.HALF_UP, 1),
        (money(10), 1_000, Rounding.HALF_UP, 1),
        (money(10), 1_000, Rounding.DOWN, 0),
        (money(2_000), 10_000, Rounding.HALF_UP, 1_000),
        (money(1), 10_000, Rounding.HALF_UP, 1),
        (money(-500), 1_900, Rounding.HALF_UP, 0),
        # In the steps that Stripe accepts.
        (money(1_190, "kwd"), 1_900, Rounding.HALF_UP, 190),
        (money(1_200, "kwd"), 1_900, Rounding.HALF_UP, 190),
        (money(1_200, "isk"), 1_900, Rounding.HALF_UP, 200),
    ],
)
def test_a_fee_includes_its_tax(fee: Money, bps: int, rounding: Rounding, tax: int) -> None:
    assert fee_tax(fee, BookingPolicy(fee_tax_bps=bps, rounding=rounding)).amount_minor == tax


@given(st.data(), st.sampled_from(CURRENCIES), st.integers(0, 10_000), st.sampled_from(list(Rounding)))
def test_tax_is_what_the_fee_that_is_left_includes_after_any_refunds(
    data: st.DataObject, currency: str, bps: int, rounding: Rounding
) -> None:
    policy = BookingPolicy(fee_tax_bps=bps, rounding=rounding)
    kept = split(data.draw(amounts(currency)), policy)
    step = step_minor(currency)
    booked = list(postings.capture(PARTIES, kept, None)) if kept.kept else []
    left = kept.platform_fee.amount_minor // step
    while left and data.draw(st.booleans()):
        part = data.draw(st.integers(1, left))
        left -= part
        borne = Shares(
            instructor=money(0, currency), platform_fee=money(part * step, currency), platform_loss=money(0, currency)
        )
        booked += postings.refund(PARTIES, str(len(booked)), borne)
    fee, balances = money(0, currency), Counter[Account]()
    for posting in booked:
        taxed = _taxed(posting, fee, policy)
        fee += fee_in(posting) or money(0, currency)
        balances.update({entry.account: entry.amount.amount_minor for entry in taxed.entries})
    assert -balances[Account.TAX_PAYABLE] == fee_tax(fee, policy).amount_minor
    assert -balances[Account.PLATFORM_REVENUE] == (fee - fee_tax(fee, policy)).amount_minor
    assert sum(balances.values()) == 0


def _taxed(posting: Posting, fee_before: Money, policy: BookingPolicy) -> Posting:
    fee = fee_in(posting)
    return posting if fee is None else with_tax(posting, fee, fee_before, policy)


def test_a_posting_without_a_fee_has_none() -> None:
    assert fee_in(postings.refund_sent(PARTIES, "re_1", money(100))) is None
