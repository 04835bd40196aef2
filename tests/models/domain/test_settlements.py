"""What an ending puts right of a captured payment, and how it is posted as Stripe has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain import postings
from models.domain.errors import Declined
from models.domain.ledger import Account
from models.domain.messages import HoldPhase, PaymentState
from models.domain.policy import BookingPolicy, split
from models.domain.settlements import (
    Correction,
    RefundDifference,
    ReturnFee,
    ReverseShare,
    Settlement,
    next_correction,
    part_of_ending,
    settlement_postings,
)
from tests.models.domain.posted import balances, terms_of, usd

HALF = split(usd(5_000), BookingPolicy())


def captured(minor: int, fee: int = 0, refunded: int = 0, reversed: int = 0, fee_returned: int = 0) -> PaymentState:
    return PaymentState(
        phase=HoldPhase.CAPTURED,
        captured_minor=minor,
        platform_fee_minor=fee,
        refunded_minor=refunded,
        refund_ids=("re_1",) if refunded else (),
        reversed_minor=reversed,
        fee_returned_minor=fee_returned,
    )


@pytest.mark.parametrize(
    ("payment", "correction"),
    [
        (captured(5_000, 1_000), None),
        (captured(5_000, 2_000), ReturnFee(amount=usd(1_000))),
        (captured(5_000, 2_000, fee_returned=1_000), None),
        (captured(5_000, 0), ReverseShare(amount=usd(1_000))),
        (captured(5_000, 0, reversed=1_000), None),
        (captured(10_000, 2_000), RefundDifference(amount=usd(5_000))),
        (captured(10_000, 2_000, 5_000, 5_000), ReturnFee(amount=usd(1_000))),
        (captured(10_000, 2_000, 3_000), RefundDifference(amount=usd(2_000))),
        (captured(10_000, 2_000, 5_000), ReverseShare(amount=usd(4_000))),
        (captured(10_000, 2_000, 5_000, 5_000, 1_000), None),
        # Refunded beyond what the ending returns, which is nothing: adopted afterwards.
        (captured(5_000, 1_000, 2_000), None),
    ],
)
def test_captured_payment_is_brought_to_the_split_step_by_step(
    payment: PaymentState, correction: Correction | None
) -> None:
    assert next_correction(payment, HALF) == correction


@pytest.mark.parametrize(
    ("payment", "why"),
    [
        (captured(4_999, 1_000), "less_is_captured"),
        (captured(10_000, 2_000, 6_000), "more_is_refunded"),
        (captured(5_000, 2_000, 100), "more_is_refunded"),
        (captured(5_000, 1_000, reversed=3_000), "more_is_reversed"),
    ],
)
def test_payment_that_no_step_can_put_right_is_declined(payment: PaymentState, why: str) -> None:
    with pytest.raises(Declined, match=why):
        next_correction(payment, HALF)


def test_refund_beyond_what_the_ending_returns_is_left_to_be_adopted() -> None:
    assert part_of_ending(captured(5_000, 1_000, 2_000, 2_000, 400), HALF) == captured(5_000, 1_000)
    in_full = captured(10_000, 2_000, 5_000, 5_000, 1_000)
    assert part_of_ending(in_full, HALF) == in_full


@given(st.data())
def test_postings_are_what_stripe_has(data: st.DataObject) -> None:
    """Whatever was refunded, reversed and returned, together or alone."""
    minor = data.draw(st.integers(1, 10**6))
    fee = data.draw(st.integers(0, minor))
    payment = captured(
        minor,
        fee,
        data.draw(st.integers(0, minor)),
        data.draw(st.integers(0, minor)),
        data.draw(st.integers(0, fee)),
    )
    terms = terms_of(usd(10**6))
    actual = balances([postings.hold_placed(terms), *settlement_postings(terms, payment)])
    assert actual.get(Account.CONNECTED_BALANCE, 0) == payment.instructor_minor
    assert -actual.get(Account.INSTRUCTOR_PAYABLE, 0) == payment.instructor_minor
    kept = payment.captured_minor - payment.refunded_minor
    assert actual.get(Account.STRIPE_BALANCE, 0) == kept - payment.instructor_minor
    settlement = Settlement.of(payment, "usd")
    assert settlement is not None
    assert settlement.instructor.amount_minor == payment.instructor_minor
    assert settlement.returned.platform_loss >= usd(0)
