"""Refunds after the end of a booking: made once, never more than was paid, and followed until they succeed."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WorkflowUpdateFailedError

from models.domain.errors import Unknown
from models.domain.ids import refund_workflow_id
from models.domain.ledger import Account
from models.domain.notifications import NotificationKind, Recipient
from models.domain.policy import BookingPolicy, LossBearer
from models.domain.refunds import RefundView, RetryRefund
from models.domain.states import PaymentStatus, PayoutStatus, RefundStatus
from models.tables.bookings import LiveSession
from models.tables.payments import InstructorPayout
from sandbox.browser.checkout_page import GOOD_CARD
from tests.workflows.dispute_steps import balances, decide_at_the_bank, open_dispute, start_dispute
from tests.workflows.refund_steps import (
    OPERATOR,
    REFUND_FAILING_CARD,
    REFUND_PENDING_CARD,
    act_at_the_bank,
    completed_with,
    execute_refund,
    notifications,
    notify_refund,
    order_refund,
    payment_totals,
    refund_booking,
    refunds_at_stripe,
    starting,
    stored_refund,
    until_refund_is,
)
from tests.workflows.saga import Saga, both_plans
from workflows.refunds import RefundWorkflow

pytestmark = both_plans


async def test_partial_refund_is_taken_from_both_shares_in_proportion(saga: Saga) -> None:
    booked = await saga.completed()
    assert await refund_booking(saga, booked, 5_000) == RefundView(status=RefundStatus.SUCCEEDED)
    assert await payment_totals(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 5_000, 5_000, 1_000)
    figures = await booked.figures()
    assert (figures.student_paid_minor, figures.instructor_received_minor, figures.platform_kept_minor) == (
        5_000,
        4_000,
        1_000,
    )
    assert await balances(saga, booked) == {
        Account.STRIPE_BALANCE: 1_000 - 320,
        Account.STRIPE_FEES: 320,
        Account.CONNECTED_BALANCE: 4_000,
        Account.INSTRUCTOR_PAYABLE: -4_000,
        Account.PLATFORM_REVENUE: -1_000,
    }
    async with AsyncSession(saga.engine) as session:
        live_session = await session.get_one(LiveSession, booked.order.terms.booking_id)
        assert (live_session.platform_fee_minor, live_session.instructor_payout_minor) == (1_000, 4_000)
        payouts = await session.exec(
            select(InstructorPayout).where(col(InstructorPayout.booking_id) == booked.order.terms.booking_id)
        )
        assert payouts.one().amount_minor == 4_000
    assert await notifications(saga, booked) == {(NotificationKind.REFUNDED, recipient) for recipient in Recipient}


async def test_uneven_partial_refunds_add_up_to_the_full_amount(saga: Saga) -> None:
    booked = await saga.completed()
    for part in (3_333, 3_333, 3_334):
        assert (await refund_booking(saga, booked, part)).status is RefundStatus.SUCCEEDED
        _, left, returned, fee = await payment_totals(booked)
        figures = await booked.figures()
        assert (left, left + returned) == (figures.student_paid_minor, 10_000)
        assert fee == figures.platform_kept_minor
        assert left - fee == figures.instructor_received_minor
    assert await payment_totals(booked) == (PaymentStatus.REFUNDED, 0, 10_000, 0)
    assert await balances(saga, booked) == {Account.STRIPE_BALANCE: -320, Account.STRIPE_FEES: 320}
    async with AsyncSession(saga.engine) as session:
        payouts = await session.exec(
            select(InstructorPayout).where(col(InstructorPayout.booking_id) == booked.order.terms.booking_id)
        )
        assert payouts.one().status is PayoutStatus.REVERSED


async def test_platform_can_bear_a_refund(saga: Saga) -> None:
    booked = await saga.completed()
    assert (await refund_booking(saga, booked, 5_000, LossBearer.PLATFORM)).status is RefundStatus.SUCCEEDED
    assert await payment_totals(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 5_000, 5_000, 1_000)
    assert await balances(saga, booked) == {
        Account.STRIPE_BALANCE: 2_000 - 320 - 5_000,
        Account.STRIPE_FEES: 320,
        Account.CONNECTED_BALANCE: 8_000,
        Account.INSTRUCTOR_PAYABLE: -8_000,
        Account.PLATFORM_REVENUE: -1_000,
        Account.PLATFORM_LOSSES: 4_000,
    }
    # The rest goes back out of both shares; what the platform has borne stays with the instructor.
    assert (await refund_booking(saga, booked, 5_000)).status is RefundStatus.SUCCEEDED
    assert (await balances(saga, booked))[Account.INSTRUCTOR_PAYABLE] == -4_000
    assert (await booked.figures()).instructor_received_minor == 4_000


async def test_concurrent_refunds_never_exceed_the_payment(saga: Saga) -> None:
    booked = await saga.completed()
    orders = [await order_refund(saga, booked, 4_000) for _ in range(4)]
    views = await asyncio.gather(*(execute_refund(saga, order) for order in orders))
    # Orders that were refused for now are repeated.
    for order, view in zip(orders, views, strict=True):
        if view.status is RefundStatus.REQUESTED:
            assert view.refusal
            await execute_refund(saga, order)
    made = [(await stored_refund(saga, order)).status for order in orders]
    assert sorted(made) == [RefundStatus.REQUESTED] * 2 + [RefundStatus.SUCCEEDED] * 2
    assert await payment_totals(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 2_000, 8_000, 400)
    assert sum(refund.amount for refund in await refunds_at_stripe(saga, booked)) == 8_000


@pytest.mark.parametrize("lost", ["create_refund", "record_refund", "reserve_refund"])
async def test_refund_is_made_once_when_the_response_is_lost(saga: Saga, lost: str) -> None:
    booked = await saga.completed()
    saga.faults.fail("after", lost, Unknown("the response was lost"))
    order = await order_refund(saga, booked, 2_500)
    assert (await execute_refund(saga, order)).status is RefundStatus.SUCCEEDED
    assert saga.faults.all_taken
    # A repeated order is the same refund.
    assert (await execute_refund(saga, order)).status is RefundStatus.SUCCEEDED
    assert [refund.amount for refund in await refunds_at_stripe(saga, booked)] == [2_500]
    assert await payment_totals(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 7_500, 2_500, 1_500)


async def test_pending_refund_succeeds_on_its_event(saga: Saga) -> None:
    booked = await completed_with(saga, REFUND_PENDING_CARD)
    order = await order_refund(saga, booked, 5_000)
    assert (await execute_refund(saga, order)).status is RefundStatus.PENDING
    stripe_refund_id = (await stored_refund(saga, order)).stripe_refund_id
    assert stripe_refund_id
    await act_at_the_bank(saga, stripe_refund_id, "succeed")
    handle = await notify_refund(saga, order)
    assert await handle.result() is RefundStatus.SUCCEEDED
    assert (await stored_refund(saga, order)).status is RefundStatus.SUCCEEDED


async def test_pending_refund_is_looked_up_without_an_event(saga: Saga) -> None:
    booked = await completed_with(saga, REFUND_PENDING_CARD)
    order = await order_refund(saga, booked, 5_000)
    assert (await execute_refund(saga, order)).status is RefundStatus.PENDING
    stripe_refund_id = (await stored_refund(saga, order)).stripe_refund_id
    assert stripe_refund_id
    await act_at_the_bank(saga, stripe_refund_id, "succeed")
    await saga.env.sleep(timedelta(days=1))
    await until_refund_is(saga, order, RefundStatus.SUCCEEDED)


async def test_failed_refund_is_owed_until_an_operator_retries_it(saga: Saga) -> None:
    booked = await completed_with(saga, REFUND_FAILING_CARD)
    order = await order_refund(saga, booked, 5_000)
    assert (await execute_refund(saga, order)).status is RefundStatus.SUCCEEDED
    first = (await stored_refund(saga, order)).stripe_refund_id
    assert first
    await act_at_the_bank(saga, first, "fail")
    await (await notify_refund(saga, order)).result()
    row = await stored_refund(saga, order)
    assert (row.status, row.failure_reason) == (RefundStatus.FAILED, "unknown")
    request = await booked.request()
    assert request is not None
    assert request.needs_attention
    assert "50.00 USD" in (request.attention_reason or "")
    owed = await balances(saga, booked)
    assert (owed[Account.REFUNDS], owed[Account.INSTRUCTOR_PAYABLE]) == (-5_000, -4_000)
    assert (NotificationKind.REFUND_FAILED, Recipient.STUDENT) in await notifications(saga, booked)

    saga.faults.fail("after", "create_refund", Unknown("the response was lost"))
    again = await saga.env.client.execute_update_with_start_workflow(
        RefundWorkflow.try_again, RetryRefund(actor=OPERATOR), start_workflow_operation=starting(order)
    )
    assert again.status is RefundStatus.SUCCEEDED
    assert [refund.amount for refund in await refunds_at_stripe(saga, booked)] == [5_000, 5_000]
    assert Account.REFUNDS not in await balances(saga, booked)
    request = await booked.request()
    assert request is not None
    assert not request.needs_attention
    # The shares were taken once.
    assert (await booked.figures()).instructor_received_minor == 4_000
    assert await payment_totals(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 5_000, 5_000, 1_000)


async def test_two_retries_at_once_are_one_try(saga: Saga) -> None:
    booked = await completed_with(saga, REFUND_FAILING_CARD)
    order = await order_refund(saga, booked, 5_000)
    await execute_refund(saga, order)
    await act_at_the_bank(saga, (await stored_refund(saga, order)).stripe_refund_id or "", "fail")
    await (await notify_refund(saga, order)).result()

    async def retry() -> RefundView:
        return await saga.env.client.execute_update_with_start_workflow(
            RefundWorkflow.try_again, RetryRefund(actor=OPERATOR), start_workflow_operation=starting(order)
        )

    again: list[asyncio.Task[RefundView]] = []

    async def once_more() -> None:
        again.append(asyncio.create_task(retry()))
        # Until the workflow has it, too.
        await asyncio.sleep(0.5)

    saga.faults.plan("before", "create_refund", once_more)
    views = [await retry(), await again[0]]
    assert [view.status for view in views] == [RefundStatus.SUCCEEDED] * 2
    assert [refund.amount for refund in await refunds_at_stripe(saga, booked)] == [5_000, 5_000]
    handle = saga.env.client.get_workflow_handle(refund_workflow_id(order))
    assert await handle.result() == RefundStatus.SUCCEEDED


async def test_retry_is_refused_unless_the_refund_failed(saga: Saga) -> None:
    booked = await saga.completed()
    order = await order_refund(saga, booked, 5_000)
    await execute_refund(saga, order)
    with pytest.raises(WorkflowUpdateFailedError):
        await saga.env.client.execute_update_with_start_workflow(
            RefundWorkflow.try_again, RetryRefund(actor=OPERATOR), start_workflow_operation=starting(order)
        )
    assert len(await refunds_at_stripe(saga, booked)) == 1


async def test_disputed_payment_is_not_refunded(saga: Saga) -> None:
    booked = await saga.completed()
    assert (await refund_booking(saga, booked, 3_000)).status is RefundStatus.SUCCEEDED
    dispute = await open_dispute(saga, booked)
    handle = await start_dispute(saga, dispute.id)
    await saga.until_stored(booked, PaymentStatus.DISPUTED)
    order = await order_refund(saga, booked, 1_000)
    refused = await execute_refund(saga, order)
    assert refused.status is RefundStatus.REQUESTED
    assert "disputed" in (refused.refusal or "")
    await decide_at_the_bank(saga, dispute.id, "losing_evidence")
    await handle.signal("dispute_event", {"event_id": "evt_lost", "type": "charge.dispute.closed"})
    await handle.result()
    assert await payment_totals(booked) == (PaymentStatus.REFUNDED, 0, 10_000, 0)
    assert "nothing left" in ((await execute_refund(saga, order)).refusal or "")
    assert await balances(saga, booked) == {
        Account.STRIPE_BALANCE: -320 - 1_500,
        Account.STRIPE_FEES: 320 + 1_500,
    }


async def test_refund_that_stripe_declines_changes_nothing(saga: Saga) -> None:
    booked = await saga.completed()
    # A dispute whose event has not arrived yet.
    await open_dispute(saga, booked)
    order = await order_refund(saga, booked, 1_000)
    view = await execute_refund(saga, order)
    assert (view.status, view.refusal) == (RefundStatus.REFUSED, "Stripe refuses the refund: charge_disputed.")
    assert await payment_totals(booked) == (PaymentStatus.CAPTURED, 10_000, 0, 2_000)


async def test_released_booking_has_nothing_to_refund(saga: Saga) -> None:
    booked = await saga.paid(policy=BookingPolicy())
    await booked.handle.cancel()
    await saga.until_over(booked.handle)
    assert "nothing left" in ((await refund_booking(saga, booked, 1_000)).refusal or "")


async def test_unknown_refund_id_ends_without_a_status(saga: Saga) -> None:
    handle = await notify_refund(saga, uuid4())
    assert await handle.result() is None


async def test_full_refund_succeeds(saga: Saga) -> None:
    booked = await completed_with(saga, GOOD_CARD)
    assert (await refund_booking(saga, booked, 10_000)).status is RefundStatus.SUCCEEDED
    assert (await booked.figures()).student_paid_minor == 0
