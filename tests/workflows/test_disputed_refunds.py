"""A bank may send a refund back, so that the student is still owed it, and then take the charge back by itself."""

import pytest

from models.domain.ledger import Account
from models.domain.states import DisputeStatus, PaymentStatus, RefundStatus
from tests.workflows.saga import Saga
from tests.workflows.test_disputes import balances, completed, decide_at_the_bank, disputed, hear, started
from tests.workflows.test_refunds import at_the_bank, carried_out, kept, ordered
from tests.workflows.test_refunds import hear as hear_of_refund

FEES = 320 + 1_500


@pytest.mark.parametrize(
    ("refunded_minor", "outcome", "wanted"),
    [
        (10_000, DisputeStatus.LOST, {Account.STRIPE_BALANCE: -FEES}),
        (10_000, DisputeStatus.WON, {Account.STRIPE_BALANCE: 10_000 - FEES, Account.REFUNDS: -10_000}),
        # Half was owed already, out of both shares; the other half is lost now, out of both as well.
        (5_000, DisputeStatus.LOST, {Account.STRIPE_BALANCE: -FEES}),
    ],
)
async def test_a_disputed_charge_whose_refund_had_come_back_costs_nobody_twice(
    saga: Saga, refunded_minor: int, outcome: DisputeStatus, wanted: dict[Account, int]
) -> None:
    booked = await completed(saga)
    order = await ordered(saga, booked, refunded_minor)
    await carried_out(saga, order)
    await at_the_bank(saga, (await kept(saga, order)).stripe_refund_id or "", "fail")
    await (await hear_of_refund(saga, order)).result()
    assert (await kept(saga, order)).status is RefundStatus.FAILED
    dispute = await disputed(saga, booked)
    assert dispute.amount == 10_000
    handle = await started(saga, dispute.id)
    await saga.until_stored(booked, PaymentStatus.DISPUTED)
    word = "winning" if outcome is DisputeStatus.WON else "losing"
    await decide_at_the_bank(saga, dispute.id, f"{word}_evidence")
    await hear(saga, dispute.id)
    assert await handle.result() is outcome
    payment = await booked.payment()
    assert payment is not None
    assert (payment.status, payment.captured_minor, payment.returned_minor) == (PaymentStatus.REFUNDED, 0, 10_000)
    assert await balances(saga, booked) == wanted | {Account.STRIPE_FEES: FEES}
