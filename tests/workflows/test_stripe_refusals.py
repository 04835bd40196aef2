"""Final answers of Stripe's, where a workflow has something else to do than to ask again."""

from datetime import timedelta
from uuid import uuid4

from models.domain.actors import Actor, Role
from models.domain.disputes import DisputeDecision, DisputeResponse
from models.domain.errors import Declined
from models.domain.ledger import Account
from models.domain.messages import Retry
from models.domain.states import DisputeStatus, PaymentStatus, RefundStatus
from tests.workflows.dispute_steps import (
    balances,
    decide_at_the_bank,
    notify_dispute,
    open_dispute,
    start_dispute,
    until_dispute_is,
)
from tests.workflows.refund_steps import (
    REFUND_PENDING_CARD,
    completed_with,
    execute_refund,
    notify_refund,
    order_refund,
)
from tests.workflows.saga import Booked, Saga, both_plans
from workflows.booking.workflow import BookingWorkflow
from workflows.disputes import DisputeWorkflow

pytestmark = both_plans

OPERATOR = Actor(role=Role.OPERATOR, id=uuid4())


async def attention_reason(booked: Booked) -> str:
    request = await booked.request()
    assert request is not None
    assert request.needs_attention
    return request.attention_reason or ""


async def test_payment_that_stripe_does_not_know_parks_the_booking(saga: Saga) -> None:
    booked = await saga.booked()
    saga.faults.fail("before", "gateway.look_up", Declined("resource_missing"))
    await booked.pay()
    await saga.until_needs_attention(booked)
    assert "resource_missing" in await attention_reason(booked)
    await booked.handle.execute_update(BookingWorkflow.retry, Retry(actor=OPERATOR))
    await saga.until_stored(booked, PaymentStatus.PENDING)


async def test_refused_evidence_is_left_to_an_operator(saga: Saga) -> None:
    booked = await saga.completed()
    dispute = await open_dispute(saga, booked)
    handle = await start_dispute(saga, dispute.id)
    await until_dispute_is(saga, dispute.id, DisputeStatus.NEEDS_RESPONSE)
    saga.faults.fail("before", "submit_dispute_evidence", Declined("dispute_evidence_rejected"))
    decision = DisputeDecision(actor=OPERATOR, answer=DisputeResponse.EVIDENCE)
    await handle.execute_update(DisputeWorkflow.decide, decision)
    await saga.until_needs_attention(booked)
    assert dispute.id in await attention_reason(booked)
    # Nothing is sent at the deadline. The operator may order it again.
    await saga.env.sleep(timedelta(days=10))
    assert (await saga.stripe.v1.disputes.retrieve_async(dispute.id)).status == "needs_response"
    await handle.execute_update(DisputeWorkflow.decide, decision)
    await until_dispute_is(saga, dispute.id, DisputeStatus.UNDER_REVIEW)


async def test_platform_bears_a_share_that_stripe_does_not_take_back(saga: Saga) -> None:
    booked = await saga.completed()
    dispute = await open_dispute(saga, booked)
    handle = await start_dispute(saga, dispute.id)
    await until_dispute_is(saga, dispute.id, DisputeStatus.NEEDS_RESPONSE)
    saga.faults.fail("before", "gateway.reverse_disputed_transfer", Declined("balance_insufficient"))
    await decide_at_the_bank(saga, dispute.id, "losing_evidence")
    await notify_dispute(saga, dispute.id)
    assert await handle.result() is DisputeStatus.LOST
    seen = await balances(saga, booked)
    assert (seen[Account.PLATFORM_LOSSES], seen[Account.INSTRUCTOR_PAYABLE]) == (8_000, -8_000)


async def test_refund_that_stripe_no_longer_knows_needs_attention(saga: Saga) -> None:
    booked = await completed_with(saga, REFUND_PENDING_CARD)
    order = await order_refund(saga, booked, 5_000)
    assert (await execute_refund(saga, order)).status is RefundStatus.PENDING
    saga.faults.fail("before", "look_up_refund", Declined("resource_missing"))
    assert await (await notify_refund(saga, order)).result() is RefundStatus.PENDING
    assert "50.00 USD" in await attention_reason(booked)
