"""What an ending puts right of a captured payment, and how it is posted as Stripe has it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain import postings
from models.domain.conversions import Conversion
from models.domain.errors import Declined
from models.domain.ledger import Account
from models.domain.money import Money
from models.domain.payments import HoldPhase, PaymentState
from models.domain.policy import BookingPolicy, PaymentPlan, split
from models.domain.settlements import (
    Correction,
    RefundDifference,
    ReturnFee,
    ReverseShare,
    Settlement,
    Step,
    TransferShare,
    next_correction,
    next_step,
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
    assert settlement.kept.amount_minor == kept
    assert settlement.instructor.amount_minor == payment.instructor_minor
    assert settlement.returned.platform_loss >= usd(0)


def charged(minor: int, refunded: int = 0, transferred: int = 0, reversed: int = 0) -> PaymentState:
    """A charge of the platform's, whatever was transferred of it."""
    return captured(minor, refunded=refunded, reversed=reversed).model_copy(update={"transferred_minor": transferred})


@pytest.mark.parametrize(
    ("payment", "step"),
    [
        (charged(10_000), RefundDifference(amount=usd(5_000))),
        (charged(10_000, 1_000), RefundDifference(amount=usd(4_000))),
        (charged(10_000, 5_000), TransferShare(amount=usd(4_000))),
        (charged(10_000, 5_000, 1_000), TransferShare(amount=usd(3_000))),
        (charged(10_000, 5_000, 8_000), ReverseShare(amount=usd(4_000))),
        (charged(10_000, 5_000, 8_000, 4_000), None),
        (charged(5_000), TransferShare(amount=usd(4_000))),
        (charged(5_000, transferred=4_000), None),
        # Refunded beyond what the ending returns: adopted afterwards.
        (charged(10_000, 6_000, 4_000), None),
    ],
)
def test_charge_is_refunded_first_and_its_share_transferred_then(payment: PaymentState, step: Step | None) -> None:
    assert next_step(payment, HALF) == step


def eur(amount_minor: int) -> Money:
    return Money(amount_minor=amount_minor, currency="eur")


@pytest.mark.parametrize(
    ("transferred", "reversed", "step"),
    [
        (0, 0, TransferShare(amount=eur(3_680))),
        (1_000, 0, TransferShare(amount=eur(2_680))),
        (7_360, 0, ReverseShare(amount=eur(3_680))),
        (7_360, 3_680, None),
    ],
)
def test_share_of_a_converted_charge_is_transferred_in_the_other_currency(
    transferred: int, reversed: int, step: Step | None
) -> None:
    """100.00 USD are 92.00 EUR. What others have transferred counts."""
    conversion = Conversion(charged=usd(10_000), settled=eur(9_200))
    payment = charged(10_000, 5_000).model_copy(update={"conversion": conversion})
    assert next_step(payment.with_transfers(transferred, reversed), HALF) == step


@given(st.integers(50, 10**6), st.integers(1, 10**8), st.integers(0, 10_000))
def test_share_of_a_converted_charge_is_posted_as_agreed(minor: int, settled: int, fee_bps: int) -> None:
    kept = split(usd(minor), BookingPolicy(fee_bps=fee_bps))
    conversion = Conversion(charged=usd(minor), settled=eur(settled))
    payment = charged(minor).model_copy(update={"conversion": conversion}).with_transfers(0, 0)
    match next_step(payment, kept):
        case TransferShare(amount=amount):
            payment = payment.with_transfers(amount.amount_minor, 0)
    assert next_step(payment, kept) is None
    settlement = Settlement.of(payment.with_share(kept.instructor_payout), "usd")
    assert settlement is not None
    assert settlement.charged == kept


def test_charge_of_less_than_the_ending_keeps_is_declined() -> None:
    with pytest.raises(Declined, match="less_is_captured"):
        next_step(charged(4_999), HALF)


@given(st.data())
def test_charge_is_settled_in_at_most_two_steps_whatever_was_done_before(data: st.DataObject) -> None:
    minor = data.draw(st.integers(1, 10**6))
    transferred = data.draw(st.integers(0, minor))
    payment = charged(minor, data.draw(st.integers(0, minor)), transferred, data.draw(st.integers(0, transferred)))
    kept = split(usd(data.draw(st.integers(1, minor))), BookingPolicy(fee_bps=data.draw(st.integers(0, 10_000))))
    for _ in range(2):
        change: dict[str, int] = {}
        match next_step(payment, kept):
            case RefundDifference(amount=amount):
                change = {"refunded_minor": payment.refunded_minor + amount.amount_minor}
            case TransferShare(amount=amount):
                change = {"transferred_minor": (payment.transferred_minor or 0) + amount.amount_minor}
            case ReverseShare(amount=amount):
                change = {"reversed_minor": payment.reversed_minor + amount.amount_minor}
            case None:
                break
        payment = payment.model_copy(update=change)
    assert next_step(payment, kept) is None
    assert payment.instructor_minor == kept.instructor_payout.amount_minor
    assert payment.refunded_minor >= minor - kept.kept.amount_minor


@given(st.data())
def test_postings_of_a_charge_are_what_stripe_has(data: st.DataObject) -> None:
    """From the charge to its end, whatever was refunded, transferred and reversed."""
    minor = data.draw(st.integers(1, 10**6))
    transferred = data.draw(st.integers(0, minor))
    refunded, reversed = data.draw(st.integers(0, minor)), data.draw(st.sampled_from([0, transferred]))
    fee = data.draw(st.integers(0, minor))
    payment = charged(minor, refunded, transferred, reversed)
    terms = terms_of(usd(minor), plan=PaymentPlan.CHARGE_THEN_TRANSFER)
    actual = balances(
        [
            *postings.charged(terms, usd(minor), usd(fee) if fee else None),
            *settlement_postings(terms, payment),
        ]
    )
    assert actual.get(Account.STRIPE_BALANCE, 0) == minor - fee - refunded - payment.instructor_minor
    assert actual.get(Account.STRIPE_FEES, 0) == fee
    assert actual.get(Account.CONNECTED_BALANCE, 0) == payment.instructor_minor
    assert -actual.get(Account.INSTRUCTOR_PAYABLE, 0) == payment.instructor_minor
    # Nothing of it is held any more, or owed.
    assert not {Account.STUDENT_FUNDS_HELD, Account.CARD_HOLDS, Account.REFUNDS} & actual.keys()


@pytest.mark.parametrize("phase", [HoldPhase.GONE, HoldPhase.CAPTURED])
def test_charge_that_came_back_in_full_costs_stripes_fee(phase: HoldPhase) -> None:
    """Released before the transfer, or after it, which was then reversed."""
    is_transferred = phase is HoldPhase.CAPTURED
    payment = charged(10_000, 10_000, *((8_000, 8_000) if is_transferred else ())).model_copy(update={"phase": phase})
    terms = terms_of(usd(10_000), plan=PaymentPlan.CHARGE_THEN_TRANSFER)
    actual = balances([*postings.charged(terms, usd(10_000), usd(320)), *settlement_postings(terms, payment)])
    assert actual == {Account.STRIPE_FEES: 320, Account.STRIPE_BALANCE: -320}
