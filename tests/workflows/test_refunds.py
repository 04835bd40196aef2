"""Money goes back after a booking's end: once, never more than was paid, and followed until it has arrived."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID, uuid4

import httpx
import pytest
import stripe
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WithStartWorkflowOperation, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy

from models.domain.actors import Actor, Role
from models.domain.errors import Unknown
from models.domain.ids import refund_workflow_id
from models.domain.ledger import Account
from models.domain.messages import Approve, Complete
from models.domain.notifications import NotificationKind, Recipient
from models.domain.policy import BookingPolicy, LossBearer
from models.domain.refunds import ORDERED, RefundEvent, RefundOrder, RefundView, RetryRefund
from models.domain.states import PaymentStatus, PayoutStatus, RefundStatus
from models.tables.bookings import LiveSession
from models.tables.outbox import OutboxMessage
from models.tables.payments import InstructorPayout
from models.tables.refunds import Refund
from sandbox.browser.checkout_page import GOOD_CARD
from tests.workflows.saga import QUEUE, Booked, Saga
from tests.workflows.test_disputes import balances, completed, decide_at_the_bank, disputed, started
from workflows.booking.workflow import BookingWorkflow
from workflows.refunds import RefundWorkflow

OPERATOR_ID = uuid4()
OPERATOR = Actor(role=Role.OPERATOR, id=OPERATOR_ID)
WAITS, COMES_BACK = "4000000000007726", "4000000000005126"

Handle = WorkflowHandle[RefundWorkflow, RefundStatus | None]


async def captured(saga: Saga, card: str) -> Booked:
    """100.00 USD captured from this card."""
    booked = await saga.booked()
    await booked.pay(card)
    await saga.until_stored(booked, PaymentStatus.PENDING)
    await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))
    await booked.until_begun()
    await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    return booked


async def ordered(
    saga: Saga, booked: Booked, amount_minor: int, borne_by: LossBearer = LossBearer.BOTH, id: UUID | None = None
) -> UUID:
    """An operator's order, as the API keeps it."""
    now = datetime.now(UTC)
    row = Refund(
        id=id or uuid4(),
        booking_id=booked.order.terms.booking_id,
        status=RefundStatus.REQUESTED,
        amount_minor=amount_minor,
        currency=booked.order.terms.price.currency,
        borne_by=borne_by,
        reason="The lesson was cut short.",
        ordered_by=OPERATOR_ID,
        created_at=now,
        updated_at=now,
    )
    async with AsyncSession(saga.engine, expire_on_commit=False) as session:
        session.add(row)
        await session.commit()
    return row.id


def starting(refund_id: UUID) -> WithStartWorkflowOperation[RefundWorkflow, RefundStatus | None]:
    return WithStartWorkflowOperation(
        RefundWorkflow.run,
        RefundOrder(refund_id=refund_id),
        id=refund_workflow_id(refund_id),
        task_queue=QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )


async def carried_out(saga: Saga, refund_id: UUID) -> RefundView:
    view = await saga.env.client.execute_update_with_start_workflow(
        RefundWorkflow.ordered, id=ORDERED, start_workflow_operation=starting(refund_id)
    )
    # The SDK's types take an update without argument for one that returns a coroutine.
    return cast(RefundView, view)


async def refunded(saga: Saga, booked: Booked, amount_minor: int, borne_by: LossBearer = LossBearer.BOTH) -> RefundView:
    return await carried_out(saga, await ordered(saga, booked, amount_minor, borne_by))


async def hear(saga: Saga, refund_id: UUID) -> Handle:
    """As the webhook does."""
    return await saga.env.client.start_workflow(
        RefundWorkflow.run,
        RefundOrder(refund_id=refund_id),
        id=refund_workflow_id(refund_id),
        task_queue=QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        start_signal="refund_event",
        start_signal_args=[RefundEvent(event_id=f"evt_{uuid4().hex}", type="refund.test")],
    )


async def at_the_bank(saga: Saga, stripe_refund_id: str, act: str) -> None:
    async with httpx.AsyncClient(base_url=saga.stripe_url, trust_env=False) as bank:
        (await bank.post(f"/_sandbox/refunds/{stripe_refund_id}/{act}", json={})).raise_for_status()


async def kept(saga: Saga, refund_id: UUID) -> Refund:
    async with AsyncSession(saga.engine) as session:
        return await session.get_one(Refund, refund_id)


async def until_kept(saga: Saga, refund_id: UUID, status: RefundStatus) -> Refund:
    for _ in range(60):
        row = await kept(saga, refund_id)
        if row.status is status:
            return row
        await saga.env.sleep(1)
    raise AssertionError(f"{status} never came")


async def money(booked: Booked) -> tuple[PaymentStatus, int, int, int]:
    """The payment's status, and what is captured, returned and the platform's."""
    payment = await booked.payment()
    assert payment is not None
    return payment.status, payment.captured_minor, payment.returned_minor, payment.platform_fee_minor


async def notifications(saga: Saga, booked: Booked) -> set[tuple[NotificationKind, Recipient]]:
    told = (
        select(OutboxMessage)
        .where(col(OutboxMessage.booking_id) == booked.order.terms.booking_id)
        .where(col(OutboxMessage.kind).in_([NotificationKind.REFUNDED, NotificationKind.REFUND_FAILED]))
    )
    async with AsyncSession(saga.engine) as session:
        return {(message.kind, message.recipient_role) for message in await session.exec(told)}


async def refunds_at_stripe(saga: Saga, booked: Booked) -> list[stripe.Refund]:
    intent = await booked.payment_intent()
    assert intent is not None
    return (await saga.stripe.v1.refunds.list_async({"payment_intent": intent.id})).data


async def test_half_goes_back_out_of_both_shares_in_proportion(saga: Saga) -> None:
    booked = await completed(saga)
    assert await refunded(saga, booked, 5_000) == RefundView(status=RefundStatus.SUCCEEDED)
    assert await money(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 5_000, 5_000, 1_000)
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


async def test_all_of_it_goes_back_in_odd_parts_to_the_last_cent(saga: Saga) -> None:
    booked = await completed(saga)
    for part in (3_333, 3_333, 3_334):
        assert (await refunded(saga, booked, part)).status is RefundStatus.SUCCEEDED
        _, left, returned, fee = await money(booked)
        figures = await booked.figures()
        assert (left, left + returned) == (figures.student_paid_minor, 10_000)
        assert fee == figures.platform_kept_minor
        assert left - fee == figures.instructor_received_minor
    assert await money(booked) == (PaymentStatus.REFUNDED, 0, 10_000, 0)
    assert await balances(saga, booked) == {Account.STRIPE_BALANCE: -320, Account.STRIPE_FEES: 320}
    async with AsyncSession(saga.engine) as session:
        payouts = await session.exec(
            select(InstructorPayout).where(col(InstructorPayout.booking_id) == booked.order.terms.booking_id)
        )
        assert payouts.one().status is PayoutStatus.REVERSED


async def test_the_platform_can_bear_it(saga: Saga) -> None:
    booked = await completed(saga)
    assert (await refunded(saga, booked, 5_000, LossBearer.PLATFORM)).status is RefundStatus.SUCCEEDED
    assert await money(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 5_000, 5_000, 1_000)
    assert await balances(saga, booked) == {
        Account.STRIPE_BALANCE: 2_000 - 320 - 5_000,
        Account.STRIPE_FEES: 320,
        Account.CONNECTED_BALANCE: 8_000,
        Account.INSTRUCTOR_PAYABLE: -8_000,
        Account.PLATFORM_REVENUE: -1_000,
        Account.PLATFORM_LOSSES: 4_000,
    }
    # The rest goes back out of both shares; what the platform has borne stays with the instructor.
    assert (await refunded(saga, booked, 5_000)).status is RefundStatus.SUCCEEDED
    assert (await balances(saga, booked))[Account.INSTRUCTOR_PAYABLE] == -4_000
    assert (await booked.figures()).instructor_received_minor == 4_000


@pytest.mark.concurrent_workflows
async def test_of_many_refunds_at_once_no_more_goes_back_than_was_paid(saga: Saga) -> None:
    booked = await completed(saga)
    orders = [await ordered(saga, booked, 4_000) for _ in range(4)]
    views = await asyncio.gather(*(carried_out(saga, order) for order in orders))
    # Those that were told to ask again do so.
    for order, view in zip(orders, views, strict=True):
        if view.status is RefundStatus.REQUESTED:
            assert view.refusal
            await carried_out(saga, order)
    made = [(await kept(saga, order)).status for order in orders]
    assert sorted(made) == [RefundStatus.REQUESTED] * 2 + [RefundStatus.SUCCEEDED] * 2
    assert await money(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 2_000, 8_000, 400)
    assert sum(refund.amount for refund in await refunds_at_stripe(saga, booked)) == 8_000


@pytest.mark.parametrize("lost", ["create_refund", "record_refund", "reserve_refund"])
async def test_a_refund_whose_answer_is_lost_is_made_once(saga: Saga, lost: str) -> None:
    booked = await completed(saga)
    saga.faults.fail("after", lost, Unknown("the answer was lost"))
    order = await ordered(saga, booked, 2_500)
    assert (await carried_out(saga, order)).status is RefundStatus.SUCCEEDED
    assert saga.faults.all_taken
    # Asked again, it is the same refund.
    assert (await carried_out(saga, order)).status is RefundStatus.SUCCEEDED
    assert [refund.amount for refund in await refunds_at_stripe(saga, booked)] == [2_500]
    assert await money(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 7_500, 2_500, 1_500)


async def test_a_pending_refund_is_followed_until_it_has_arrived(saga: Saga) -> None:
    booked = await captured(saga, WAITS)
    order = await ordered(saga, booked, 5_000)
    assert (await carried_out(saga, order)).status is RefundStatus.PENDING
    stripe_refund_id = (await kept(saga, order)).stripe_refund_id
    assert stripe_refund_id
    await at_the_bank(saga, stripe_refund_id, "succeed")
    handle = await hear(saga, order)
    assert await handle.result() is RefundStatus.SUCCEEDED
    assert (await kept(saga, order)).status is RefundStatus.SUCCEEDED


async def test_a_pending_refund_is_looked_at_without_news(saga: Saga) -> None:
    booked = await captured(saga, WAITS)
    order = await ordered(saga, booked, 5_000)
    assert (await carried_out(saga, order)).status is RefundStatus.PENDING
    stripe_refund_id = (await kept(saga, order)).stripe_refund_id
    assert stripe_refund_id
    await at_the_bank(saga, stripe_refund_id, "succeed")
    await saga.env.sleep(timedelta(days=1))
    await until_kept(saga, order, RefundStatus.SUCCEEDED)


async def test_a_refund_that_the_bank_sends_back_is_owed_until_an_operator_has_it_tried_again(saga: Saga) -> None:
    booked = await captured(saga, COMES_BACK)
    order = await ordered(saga, booked, 5_000)
    assert (await carried_out(saga, order)).status is RefundStatus.SUCCEEDED
    first = (await kept(saga, order)).stripe_refund_id
    assert first
    await at_the_bank(saga, first, "fail")
    await (await hear(saga, order)).result()
    row = await kept(saga, order)
    assert (row.status, row.failure_reason) == (RefundStatus.FAILED, "unknown")
    request = await booked.request()
    assert request is not None
    assert request.needs_attention
    assert "50.00 USD" in (request.attention_reason or "")
    owed = await balances(saga, booked)
    assert (owed[Account.REFUNDS], owed[Account.INSTRUCTOR_PAYABLE]) == (-5_000, -4_000)
    assert (NotificationKind.REFUND_FAILED, Recipient.STUDENT) in await notifications(saga, booked)

    saga.faults.fail("after", "create_refund", Unknown("the answer was lost"))
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
    assert await money(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 5_000, 5_000, 1_000)


async def test_a_refund_that_did_not_fail_is_not_tried_again(saga: Saga) -> None:
    booked = await completed(saga)
    order = await ordered(saga, booked, 5_000)
    await carried_out(saga, order)
    with pytest.raises(WorkflowUpdateFailedError):
        await saga.env.client.execute_update_with_start_workflow(
            RefundWorkflow.try_again, RetryRefund(actor=OPERATOR), start_workflow_operation=starting(order)
        )
    assert len(await refunds_at_stripe(saga, booked)) == 1


async def test_what_is_disputed_is_not_refunded_and_after_a_lost_dispute_nothing_is_left(saga: Saga) -> None:
    booked = await completed(saga)
    assert (await refunded(saga, booked, 3_000)).status is RefundStatus.SUCCEEDED
    dispute = await disputed(saga, booked)
    handle = await started(saga, dispute.id)
    await saga.until_stored(booked, PaymentStatus.DISPUTED)
    order = await ordered(saga, booked, 1_000)
    refused = await carried_out(saga, order)
    assert refused.status is RefundStatus.REQUESTED
    assert "disputed" in (refused.refusal or "")
    await decide_at_the_bank(saga, dispute.id, "losing_evidence")
    await handle.signal("dispute_event", {"event_id": "evt_lost", "type": "charge.dispute.closed"})
    await handle.result()
    assert await money(booked) == (PaymentStatus.REFUNDED, 0, 10_000, 0)
    assert "nothing left" in ((await carried_out(saga, order)).refusal or "")
    assert await balances(saga, booked) == {
        Account.STRIPE_BALANCE: -320 - 1_500,
        Account.STRIPE_FEES: 320 + 1_500,
    }


async def test_a_refund_that_stripe_refuses_leaves_everything_as_it_was(saga: Saga) -> None:
    booked = await completed(saga)
    # A dispute that nobody has told us of yet.
    await disputed(saga, booked)
    order = await ordered(saga, booked, 1_000)
    view = await carried_out(saga, order)
    assert (view.status, view.refusal) == (RefundStatus.REFUSED, "Stripe refuses the refund: charge_disputed.")
    assert await money(booked) == (PaymentStatus.CAPTURED, 10_000, 0, 2_000)


async def test_nothing_is_refunded_of_a_booking_that_was_released(saga: Saga) -> None:
    booked = await saga.paid(policy=BookingPolicy())
    await booked.handle.cancel()
    await saga.until_over(booked.handle)
    assert "nothing left" in ((await refunded(saga, booked, 1_000)).refusal or "")


async def test_an_order_that_nobody_has_written_down_is_none(saga: Saga) -> None:
    handle = await hear(saga, uuid4())
    assert await handle.result() is None


async def test_a_good_card_is_no_exception(saga: Saga) -> None:
    booked = await captured(saga, GOOD_CARD)
    assert (await refunded(saga, booked, 10_000)).status is RefundStatus.SUCCEEDED
    assert (await booked.figures()).student_paid_minor == 0
