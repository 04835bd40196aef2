"""Inquiries: the bank asks first. They are answered like disputes, and again if they become disputes."""

from datetime import timedelta

import httpx
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.disputes import DisputeDecision, DisputeResponse
from models.domain.ledger import Account
from models.domain.states import DisputeStatus, PaymentStatus, RefundStatus
from models.tables.disputes import Dispute
from tests.workflows.dispute_steps import (
    Handle,
    balances,
    notify_dispute,
    open_dispute,
    start_dispute,
    until_dispute_is,
)
from tests.workflows.refund_steps import OPERATOR, refund_booking
from tests.workflows.saga import Booked, Saga, both_plans
from workflows.disputes import DisputeWorkflow

pytestmark = both_plans


async def inquired(saga: Saga) -> tuple[Booked, str, Handle]:
    booked = await saga.completed()
    inquiry = await open_dispute(saga, booked, inquiry=True)
    handle = await start_dispute(saga, inquiry.id)
    await until_dispute_is(saga, inquiry.id, DisputeStatus.NEEDS_RESPONSE)
    return booked, inquiry.id, handle


async def bank(saga: Saga, inquiry_id: str, act: str) -> None:
    async with httpx.AsyncClient(base_url=saga.stripe_url, trust_env=False) as browser:
        (await browser.post(f"/_sandbox/disputes/{inquiry_id}/{act}", json={})).raise_for_status()
    await notify_dispute(saga, inquiry_id)


async def stored(saga: Saga, dispute_id: str) -> Dispute:
    async with AsyncSession(saga.engine) as session:
        return await session.get_one(Dispute, dispute_id)


async def test_inquiry_is_answered_in_time_and_moves_no_money(saga: Saga) -> None:
    booked, inquiry, handle = await inquired(saga)
    before = await balances(saga, booked)
    assert (await stored(saga, inquiry)).is_inquiry
    await saga.env.sleep(timedelta(days=8))
    assert (await saga.stripe.v1.disputes.retrieve_async(inquiry)).status == "warning_under_review"
    await bank(saga, inquiry, "close")
    assert await handle.result() is DisputeStatus.CLOSED
    payment = await booked.payment()
    assert payment is not None
    assert payment.status is PaymentStatus.CAPTURED
    assert await balances(saga, booked) == before


async def test_inquiry_that_becomes_a_dispute_is_answered_again_in_its_own_time(saga: Saga) -> None:
    booked, inquiry, handle = await inquired(saga)
    decision = DisputeDecision(actor=OPERATOR, answer=DisputeResponse.EVIDENCE)
    await handle.execute_update(DisputeWorkflow.decide, decision)
    await until_dispute_is(saga, inquiry, DisputeStatus.UNDER_REVIEW)
    await bank(saga, inquiry, "escalate")
    await until_dispute_is(saga, inquiry, DisputeStatus.NEEDS_RESPONSE)
    row = await stored(saga, inquiry)
    assert (row.is_inquiry, row.answered_at) == (False, None)
    assert (await balances(saga, booked))[Account.DISPUTES] == 10_000
    # The operator's order was for the inquiry. There is time until the dispute's own deadline.
    await saga.env.sleep(timedelta(hours=1))
    assert (await saga.stripe.v1.disputes.retrieve_async(inquiry)).status == "needs_response"
    await saga.env.sleep(timedelta(days=8))
    await until_dispute_is(saga, inquiry, DisputeStatus.UNDER_REVIEW)
    dispute = await saga.stripe.v1.disputes.retrieve_async(inquiry)
    assert (dispute.status, dispute.evidence_details.submission_count) == ("under_review", 2)


async def test_full_refund_resolves_an_inquiry(saga: Saga) -> None:
    booked, inquiry, handle = await inquired(saga)
    assert (await refund_booking(saga, booked, 10_000)).status is RefundStatus.SUCCEEDED
    await notify_dispute(saga, inquiry)
    assert await handle.result() is DisputeStatus.CLOSED
    assert await balances(saga, booked) == {Account.STRIPE_BALANCE: -320, Account.STRIPE_FEES: 320}


async def test_accepted_inquiry_is_closed_without_a_response(saga: Saga) -> None:
    booked, _, handle = await inquired(saga)
    decision = DisputeDecision(actor=OPERATOR, answer=DisputeResponse.ACCEPTED)
    await handle.execute_update(DisputeWorkflow.decide, decision)
    assert await handle.result() is DisputeStatus.CLOSED
    payment = await booked.payment()
    assert payment is not None
    assert payment.status is PaymentStatus.CAPTURED
