"""Refunds that wait for the platform's balance: the ledger has them as owed, and as sent once Stripe has sent them."""

from collections.abc import AsyncIterator

import pytest

from models.domain.ledger import Account
from models.domain.states import DisputeStatus, PaymentStatus, RefundStatus
from sandbox.browser.checkout_page import GOOD_CARD
from tests.conftest import StripeSandbox
from tests.own_stripe import own_sandbox
from tests.workflows.bank import bank_of
from tests.workflows.dispute_steps import balances, decide_at_the_bank, notify_dispute, open_dispute, start_dispute
from tests.workflows.refund_steps import (
    REFUND_PENDING_CARD,
    act_at_the_bank,
    completed_with,
    execute_refund,
    let_refunds_wait,
    notify_refund,
    order_refund,
    payment_totals,
    refunds_at_stripe,
    stored_refund,
    until_refund_is,
)
from tests.workflows.saga import Booked, Saga, both_plans

pytestmark = both_plans

OWED = {Account.STRIPE_BALANCE: 10_000 - 320, Account.STRIPE_FEES: 320, Account.REFUNDS: -10_000}
SENT = {Account.STRIPE_BALANCE: -320, Account.STRIPE_FEES: 320}


@pytest.fixture
async def stripe_sandbox() -> AsyncIterator[StripeSandbox]:
    """A sandbox of the test's own: its balance has no other test's money, and its refunds wait."""
    async with own_sandbox() as sandbox:
        yield sandbox


async def attention(booked: Booked) -> str | None:
    request = await booked.request()
    assert request is not None
    assert request.needs_attention is (request.attention_reason is not None)
    return request.attention_reason


@pytest.mark.parametrize(
    ("card", "act", "status", "wanted"),
    [
        (GOOD_CARD, "succeed", RefundStatus.SUCCEEDED, SENT),
        (GOOD_CARD, "fail", RefundStatus.FAILED, OWED),
    ],
)
async def test_refund_that_waits_for_the_balance_is_followed(
    saga: Saga, card: str, act: str, status: RefundStatus, wanted: dict[Account, int]
) -> None:
    booked = await completed_with(saga, card)
    await let_refunds_wait(saga)
    order = await order_refund(saga, booked, 10_000)
    assert (await execute_refund(saga, order)).status is RefundStatus.PENDING
    assert (await stored_refund(saga, order)).pending_reason == "insufficient_funds"
    assert "waits for funds" in (await attention(booked) or "")
    # The student is owed it, and Stripe has not taken it from the balance.
    assert await balances(saga, booked) == OWED
    assert (await payment_totals(booked))[0] is PaymentStatus.REFUNDED
    [at_stripe] = await refunds_at_stripe(saga, booked)
    await act_at_the_bank(saga, at_stripe.id, act)
    assert await (await notify_refund(saga, order)).result() is status
    assert (await stored_refund(saga, order)).pending_reason is None
    assert await balances(saga, booked) == wanted
    reason = await attention(booked)
    if status is RefundStatus.SUCCEEDED:
        assert reason is None
    else:
        assert "the student is owed 100.00 USD" in (reason or "")


async def test_refund_that_is_sent_and_still_pending_is_posted_as_sent(saga: Saga) -> None:
    booked = await completed_with(saga, REFUND_PENDING_CARD)
    await let_refunds_wait(saga)
    order = await order_refund(saga, booked, 10_000)
    assert (await execute_refund(saga, order)).status is RefundStatus.PENDING
    assert await balances(saga, booked) == OWED
    # Another payment to the platform covers it. Then the student's bank takes its time.
    await saga.stripe.v1.payment_intents.create_async(
        {
            "amount": 1_000,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "confirm": True,
        }
    )
    await bank_of(booked).wait(86_400)
    handle = await notify_refund(saga, order)
    for _ in range(60):
        if (await stored_refund(saga, order)).pending_reason == "processing":
            break
        await saga.env.sleep(1)
    assert await balances(saga, booked) == SENT
    assert await attention(booked) is None
    [at_stripe] = await refunds_at_stripe(saga, booked)
    await act_at_the_bank(saga, at_stripe.id, "succeed")
    await notify_refund(saga, order)
    assert await handle.result() is RefundStatus.SUCCEEDED
    await until_refund_is(saga, order, RefundStatus.SUCCEEDED)
    assert await balances(saga, booked) == SENT


@pytest.mark.parametrize("first", ["refund", "dispute"])
async def test_dispute_pays_what_a_waiting_refund_owed(saga: Saga, first: str) -> None:
    """The dispute makes the refund fail. Their events may come in either order."""
    booked = await completed_with(saga, GOOD_CARD)
    await let_refunds_wait(saga)
    order = await order_refund(saga, booked, 10_000)
    assert (await execute_refund(saga, order)).status is RefundStatus.PENDING
    dispute = await open_dispute(saga, booked)
    if first == "refund":
        assert await (await notify_refund(saga, order)).result() is RefundStatus.FAILED
    handle = await start_dispute(saga, dispute.id)
    await saga.until_stored(booked, PaymentStatus.DISPUTED)
    if first == "dispute":
        assert await (await notify_refund(saga, order)).result() is RefundStatus.FAILED
    assert (await stored_refund(saga, order)).failure_reason == "charge_for_pending_refund_disputed"
    await decide_at_the_bank(saga, dispute.id, "losing_evidence")
    await notify_dispute(saga, dispute.id)
    assert await handle.result() is DisputeStatus.LOST
    fees = 320 + 1_500
    assert await balances(saga, booked) == {Account.STRIPE_BALANCE: -fees, Account.STRIPE_FEES: fees}
