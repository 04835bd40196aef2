"""Disputes of a charge whose refund failed: the student is still owed the refund."""

import pytest

from models.domain.ledger import Account
from models.domain.states import DisputeStatus, PaymentStatus, RefundStatus
from tests.workflows.dispute_steps import balances, decide_at_the_bank, notify_dispute, open_dispute, start_dispute
from tests.workflows.refund_steps import act_at_the_bank, execute_refund, notify_refund, order_refund, stored_refund
from tests.workflows.saga import Saga

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
async def test_dispute_after_a_failed_refund_is_charged_once(
    saga: Saga, refunded_minor: int, outcome: DisputeStatus, wanted: dict[Account, int]
) -> None:
    booked = await saga.completed()
    order = await order_refund(saga, booked, refunded_minor)
    await execute_refund(saga, order)
    await act_at_the_bank(saga, (await stored_refund(saga, order)).stripe_refund_id or "", "fail")
    await (await notify_refund(saga, order)).result()
    assert (await stored_refund(saga, order)).status is RefundStatus.FAILED
    dispute = await open_dispute(saga, booked)
    assert dispute.amount == 10_000
    handle = await start_dispute(saga, dispute.id)
    await saga.until_stored(booked, PaymentStatus.DISPUTED)
    word = "winning" if outcome is DisputeStatus.WON else "losing"
    await decide_at_the_bank(saga, dispute.id, f"{word}_evidence")
    await notify_dispute(saga, dispute.id)
    assert await handle.result() is outcome
    payment = await booked.payment()
    assert payment is not None
    assert (payment.status, payment.captured_minor, payment.returned_minor) == (PaymentStatus.REFUNDED, 0, 10_000)
    assert await balances(saga, booked) == wanted | {Account.STRIPE_FEES: FEES}
