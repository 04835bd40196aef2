"""Disputes of a charge whose refund failed: the student is still owed the refund."""

from uuid import UUID

import pytest

from models.domain.ledger import Account
from models.domain.refunds import NOT_OWED, RetryRefund
from models.domain.states import DisputeStatus, PaymentStatus, RefundStatus
from tests.workflows.dispute_steps import balances, decide_at_the_bank, notify_dispute, open_dispute, start_dispute
from tests.workflows.refund_steps import (
    OPERATOR,
    act_at_the_bank,
    execute_refund,
    notify_refund,
    order_refund,
    starting,
    stored_refund,
)
from tests.workflows.saga import Booked, Saga, both_plans
from workflows.refunds import RefundWorkflow

pytestmark = both_plans

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
    await _check_attention(saga, booked, order, is_owed=Account.REFUNDS in wanted)


async def _check_attention(saga: Saga, booked: Booked, refund_id: UUID, is_owed: bool) -> None:
    """The flag is there only while the student is owed something, and so is a retry."""
    request = await booked.request()
    assert request is not None
    assert request.needs_attention is is_owed
    assert ("the student is owed 100.00 USD" in (request.attention_reason or "")) is is_owed
    if not is_owed:
        view = await saga.env.client.execute_update_with_start_workflow(
            RefundWorkflow.try_again, RetryRefund(actor=OPERATOR), start_workflow_operation=starting(refund_id)
        )
        assert (view.status, view.refusal) == (RefundStatus.FAILED, NOT_OWED)
        assert (await stored_refund(saga, refund_id)).tries == 1
