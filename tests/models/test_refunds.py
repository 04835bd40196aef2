"""What goes back of a payment is borne to the last unit, by whoever is to bear it."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.money import Money
from models.policy import LossBearer
from models.postings import Parties
from models.refunds import RefundAtStripe, RefundCase, refusal, shares, shares_at_stripe
from models.states import PaymentStatus, RefundStatus
from sandbox.stripe.money import proportional_part


def usd(amount_minor: int) -> Money:
    return Money(amount_minor=amount_minor, currency="usd")


amounts = st.integers(1, 10_000_000)


@given(captured=amounts, amount=amounts, fee_share=st.integers(0, 10_000), bearer=st.sampled_from(LossBearer))
def test_the_parts_are_the_amount_and_nobody_bears_more_than_they_have(
    captured: int, amount: int, fee_share: int, bearer: LossBearer
) -> None:
    fee = captured * fee_share // 10_000
    borne = shares(usd(amount), usd(captured), usd(fee), bearer)
    assert borne.total == usd(amount)
    assert usd(0) <= borne.platform_fee <= usd(fee)
    assert usd(0) <= borne.instructor <= usd(captured - fee)
    assert borne.platform_loss >= usd(0)
    if bearer is LossBearer.PLATFORM:
        assert not borne.instructor
    elif amount <= captured:
        assert not borne.platform_loss


@given(captured=amounts, fee_share=st.integers(0, 10_000), cuts=st.lists(st.integers(1, 10_000), max_size=6))
def test_parts_that_are_all_of_it_take_all_of_each_share(captured: int, fee_share: int, cuts: list[int]) -> None:
    fee, left, instructor = captured * fee_share // 10_000, captured, 0
    for cut in [*cuts, 10_000]:
        amount = left * cut // 10_000
        if not amount:
            continue
        borne = shares(usd(amount), usd(left), usd(fee), LossBearer.BOTH)
        left, fee = left - amount, fee - borne.platform_fee.amount_minor
        instructor += borne.instructor.amount_minor
    assert (left, fee, instructor) == (0, 0, captured - captured * fee_share // 10_000)


@given(captured=amounts, fee_share=st.integers(0, 10_000), data=st.data())
def test_what_stripe_took_is_what_the_shares_are(captured: int, fee_share: int, data: st.DataObject) -> None:
    """By the proportions that the sandbox holds to be Stripe's."""
    fee = captured * fee_share // 10_000
    before = data.draw(st.integers(0, captured - 1))
    amount = data.draw(st.integers(1, captured - before))
    returned_before = proportional_part(fee, 0, before, captured)
    case = RefundCase(
        refund_id=uuid4(),
        parties=Parties(booking_id=uuid4(), instructor_id=uuid4()),
        status=RefundStatus.RESERVED,
        refusal=None,
        payment_intent_id="pi_1",
        amount=usd(amount),
        borne_by=LossBearer.BOTH,
        tries=1,
        stripe_refund_id=None,
        fee_returned_before_minor=returned_before,
    )
    part = proportional_part(fee, before, before + amount, captured)
    at_stripe = RefundAtStripe(
        stripe_refund_id="re_1",
        status=RefundStatus.SUCCEEDED,
        is_sent=True,
        reversed_minor=amount,
        fee_returned_minor=returned_before + part,
    )
    borne = shares_at_stripe(case, at_stripe, usd(captured - before), usd(fee - returned_before))
    assert borne.total == usd(amount)
    assert (borne.platform_fee, borne.platform_loss) == (usd(part), usd(0))
    # Ours and theirs differ by a unit at most.
    ours = shares(usd(amount), usd(captured - before), usd(fee - returned_before), LossBearer.BOTH)
    assert abs(ours.platform_fee.amount_minor - part) <= 1


@pytest.mark.parametrize("status", [PaymentStatus.CAPTURED, PaymentStatus.PARTIALLY_REFUNDED])
def test_what_is_captured_can_be_refunded(status: PaymentStatus) -> None:
    assert refusal(usd(100), status, usd(100), other_under_way=False) is None


@pytest.mark.parametrize(
    ("amount", "status", "left", "under_way", "why"),
    [
        (usd(101), PaymentStatus.CAPTURED, usd(100), False, "At most 1.00 USD"),
        (usd(100), PaymentStatus.CAPTURED, usd(100), True, "Another refund"),
        (usd(100), PaymentStatus.DISPUTED, usd(100), False, "disputed"),
        (usd(100), PaymentStatus.REFUNDED, usd(0), False, "nothing left"),
        (usd(100), PaymentStatus.PENDING, usd(0), False, "nothing left"),
        (usd(100), PaymentStatus.FAILED, usd(0), False, "nothing left"),
        (
            Money(amount_minor=1_005, currency="kwd"),
            PaymentStatus.CAPTURED,
            Money(amount_minor=9_000, currency="kwd"),
            False,
            "a multiple of 10",
        ),
    ],
)
def test_what_cannot_be_refunded_is_refused_with_the_reason(
    amount: Money, status: PaymentStatus, left: Money, under_way: bool, why: str
) -> None:
    assert why in (refusal(amount, status, left, under_way) or "")
