"""A refund is shared to the last minor unit between those who bear it."""

from uuid import uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.domain.money import Money
from models.domain.policy import LossBearer, PaymentPlan
from models.domain.postings import Parties
from models.domain.refunds import (
    ExternalRefund,
    RefundAtStripe,
    RefundSnapshot,
    refusal,
    shares,
    shares_at_stripe,
)
from models.domain.states import PaymentStatus, RefundStatus
from sandbox.stripe.money import proportional_part


def usd(amount_minor: int) -> Money:
    return Money(amount_minor=amount_minor, currency="usd")


amounts = st.integers(1, 10_000_000)


def _snapshot(amount: int, borne_by: LossBearer, returned_before: int) -> RefundSnapshot:
    return RefundSnapshot(
        refund_id=uuid4(),
        parties=Parties(booking_id=uuid4(), instructor_id=uuid4()),
        status=RefundStatus.RESERVED,
        refusal=None,
        payment_intent_id="pi_1",
        amount=usd(amount),
        borne_by=borne_by,
        tries=1,
        stripe_refund_id=None,
        fee_returned_before_minor=returned_before,
    )


def _refund_at_stripe(reversed_minor: int, returned: int) -> RefundAtStripe:
    return RefundAtStripe(
        stripe_refund_id="re_1",
        status=RefundStatus.SUCCEEDED,
        is_sent=True,
        reversed_minor=reversed_minor,
        fee_returned_minor=returned,
    )


@given(captured=amounts, amount=amounts, fee_share=st.integers(0, 10_000), bearer=st.sampled_from(LossBearer))
def test_shares_add_up_and_nobody_bears_more_than_they_have(
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
def test_partial_refunds_of_everything_use_up_every_share(captured: int, fee_share: int, cuts: list[int]) -> None:
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
def test_shares_match_what_stripe_took(captured: int, fee_share: int, data: st.DataObject) -> None:
    """With the proportions that the sandbox assumes for Stripe."""
    fee = captured * fee_share // 10_000
    before = data.draw(st.integers(0, captured - 1))
    amount = data.draw(st.integers(1, captured - before))
    returned_before = proportional_part(fee, 0, before, captured)
    snapshot = _snapshot(amount, LossBearer.BOTH, returned_before)
    part = proportional_part(fee, before, before + amount, captured)
    at_stripe = _refund_at_stripe(amount, returned_before + part)
    borne = shares_at_stripe(snapshot, at_stripe, usd(captured - before), usd(fee - returned_before))
    assert borne.total == usd(amount)
    assert (borne.platform_fee, borne.platform_loss) == (usd(part), usd(0))
    # The proportions of `shares` and Stripe differ by at most one minor unit.
    computed = shares(usd(amount), usd(captured - before), usd(fee - returned_before), LossBearer.BOTH)
    assert abs(computed.platform_fee.amount_minor - part) <= 1


@given(
    captured=st.integers(2, 10_000),
    fee_share=st.integers(0, 10_000),
    refunds=st.lists(st.tuples(st.integers(1, 10_000), st.sampled_from(LossBearer)), max_size=6),
    last=st.sampled_from(LossBearer),
)
@example(50, 2_000, [(500, LossBearer.BOTH), (500, LossBearer.PLATFORM)], LossBearer.BOTH)
@example(51, 2_000, [(1_000, LossBearer.BOTH), (5_000, LossBearer.PLATFORM)], LossBearer.BOTH)
def test_refunds_with_both_bearers_match_stripes_balance(
    captured: int, fee_share: int, refunds: list[tuple[int, LossBearer]], last: LossBearer
) -> None:
    """In any mix: shares add up, the fee stays within what is left, and the instructor has what Stripe has."""
    whole, whole_fee = captured, captured * fee_share // 10_000
    left, fee, loss, balance = whole, whole_fee, 0, whole - whole_fee
    returned = returned_before = 0
    for cut, bearer in [*refunds, (10_000, last)]:
        amount = left * cut // 10_000
        if not amount:
            continue
        before = whole - left
        reversed_minor = amount if bearer is LossBearer.BOTH else 0
        part = proportional_part(whole_fee, before, before + amount, whole) if reversed_minor else 0
        returned += part
        snapshot = _snapshot(amount, bearer, returned_before)
        borne = shares_at_stripe(snapshot, _refund_at_stripe(reversed_minor, returned), usd(left), usd(fee))
        assert borne.total == usd(amount)
        assert min(borne.instructor, borne.platform_fee, borne.platform_loss) >= usd(0)
        if bearer is LossBearer.BOTH:
            returned_before += (borne.platform_fee + borne.platform_loss).amount_minor
        balance -= reversed_minor - part
        left, fee = left - amount, fee - borne.platform_fee.amount_minor
        loss += borne.platform_loss.amount_minor
        assert 0 <= fee <= left
        assert left - fee + loss == balance
    assert left == 0


@pytest.mark.parametrize(
    ("reversed_minor", "fee_left", "borne"),
    [
        (4_000, 2_000, (4_000, 1_000, 0)),
        (4_000, 300, (4_000, 300, 700)),
        (0, 2_000, (0, 2_000, 3_000)),
        # What others have reversed of the transfer beside it is not borne here.
        (6_000, 2_000, (5_000, 0, 0)),
    ],
)
def test_of_a_transferred_share_the_instructor_bears_what_was_reversed(
    reversed_minor: int, fee_left: int, borne: tuple[int, int, int]
) -> None:
    snapshot = _snapshot(5_000, LossBearer.BOTH, 0).model_copy(update={"plan": PaymentPlan.CHARGE_THEN_TRANSFER})
    found = shares_at_stripe(snapshot, _refund_at_stripe(reversed_minor, 0), usd(10_000), usd(fee_left))
    assert (found.instructor, found.platform_fee, found.platform_loss) == tuple(map(usd, borne))


@pytest.mark.parametrize(("most", "fee"), [(None, 800), (1_000, 800), (500, 500)])
def test_a_refund_counts_no_more_of_the_returned_fee_than_it_can_have_caused(most: int | None, fee: int) -> None:
    """Another refund of the charge has returned the rest."""
    at_stripe = _refund_at_stripe(5_000, 1_000).model_copy(update={"fee_share_minor": most})
    borne = shares_at_stripe(_snapshot(5_000, LossBearer.BOTH, 200), at_stripe, usd(10_000), usd(2_000))
    assert (borne.instructor, borne.platform_fee, borne.platform_loss) == (usd(5_000 - fee), usd(fee), usd(0))


@pytest.mark.parametrize(
    ("reversed_minor", "is_sent", "status", "borne_by", "moves_money"),
    [
        (0, True, RefundStatus.SUCCEEDED, LossBearer.PLATFORM, True),
        (1, True, RefundStatus.FAILED, LossBearer.BOTH, True),
        (0, False, RefundStatus.PENDING, LossBearer.PLATFORM, True),
        (0, False, RefundStatus.FAILED, LossBearer.PLATFORM, False),
    ],
)
def test_an_external_refund_is_borne_by_who_has_paid_for_it(
    reversed_minor: int, is_sent: bool, status: RefundStatus, borne_by: LossBearer, moves_money: bool
) -> None:
    made = _refund_at_stripe(reversed_minor, 0).model_copy(update={"is_sent": is_sent, "status": status})
    found = ExternalRefund(refund=made, payment_intent_id="pi_1", amount=usd(100))
    assert (found.borne_by, found.moves_money) == (borne_by, moves_money)


def test_a_refund_from_before_shares_were_transferred_reverses_nothing_by_itself() -> None:
    snapshot = _snapshot(5_000, LossBearer.BOTH, 0)
    assert (snapshot.share, snapshot.share_left) == (usd(0), None)
    assert (snapshot.is_fraudulent, snapshot.is_retrying) == (False, False)
    made = RefundAtStripe(stripe_refund_id="re_1", status=RefundStatus.SUCCEEDED, is_sent=True)
    assert (made.reversed_minor, made.fee_returned_minor) == (0, 0)
    of_transfer = snapshot.model_copy(update={"share_minor": 4_000, "share_left_minor": 0})
    assert (of_transfer.share, of_transfer.share_left) == (usd(4_000), usd(0))


@pytest.mark.parametrize("status", [PaymentStatus.CAPTURED, PaymentStatus.PARTIALLY_REFUNDED])
def test_captured_payment_can_be_refunded(status: PaymentStatus) -> None:
    assert refusal(usd(100), status, usd(100), other_under_way=False) is None


@pytest.mark.parametrize(
    ("amount", "status", "left", "under_way", "reason"),
    [
        (usd(101), PaymentStatus.CAPTURED, usd(100), False, "At most 1.00 USD"),
        (usd(100), PaymentStatus.CAPTURED, usd(100), True, "Another refund"),
        (usd(100), PaymentStatus.DISPUTED, usd(100), False, "disputed"),
        (usd(100), PaymentStatus.REFUNDED, usd(0), False, "nothing left"),
        (usd(100), PaymentStatus.CAPTURED, usd(0), False, "nothing left"),
        (usd(100), PaymentStatus.PENDING, usd(100), False, "nothing left"),
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
def test_impossible_refund_is_refused_with_a_reason(
    amount: Money, status: PaymentStatus, left: Money, under_way: bool, reason: str
) -> None:
    assert reason in (refusal(amount, status, left, under_way) or "")
