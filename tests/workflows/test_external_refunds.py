"""A refund that somebody makes in Stripe's dashboard is adopted: once, and as if it had been ordered here."""

import asyncio
from uuid import UUID, uuid4

import pytest
import stripe
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WorkflowHandle

from models.domain.actors import Role
from models.domain.errors import Unknown
from models.domain.ids import external_refund_id, refund_workflow_id
from models.domain.ledger import Account
from models.domain.messages import Approve, Channel, Settle
from models.domain.notifications import NotificationKind, Recipient
from models.domain.policy import LossBearer
from models.domain.refunds import RefundEvent, RefundOrder, RetryRefund
from models.domain.states import PaymentStatus, PayoutStatus, RefundStatus
from models.tables.audit import AuditEvent
from models.tables.bookings import LiveSession
from models.tables.payments import InstructorPayout
from models.tables.refunds import Refund
from tests.workflows.saga import QUEUE, Booked, Saga
from tests.workflows.test_disputes import balances, completed
from tests.workflows.test_refunds import (
    COMES_BACK,
    OPERATOR,
    WAITS,
    at_the_bank,
    captured,
    carried_out,
    kept,
    money,
    notifications,
    ordered,
    refunded,
    starting,
)
from workflows.booking.workflow import BookingWorkflow
from workflows.refunds import RefundWorkflow

Flags = dict[str, bool]
NO_SHARES: Flags = {}
NO_FEE: Flags = {"reverse_transfer": True}
BOTH: Flags = {"reverse_transfer": True, "refund_application_fee": True}


async def made(saga: Saga, booked: Booked, amount_minor: int, flags: Flags) -> stripe.Refund:
    """As in Stripe's dashboard."""
    intent = await booked.payment_intent()
    assert intent is not None
    asked = {"payment_intent": intent.id, "amount": amount_minor, **flags}
    return await saga.stripe.v1.refunds.create_async(asked)  # type: ignore[arg-type]


async def hear(saga: Saga, refund: stripe.Refund) -> WorkflowHandle[RefundWorkflow, RefundStatus | None]:
    """As the webhook does."""
    id = external_refund_id(refund.id)
    return await saga.env.client.start_workflow(
        RefundWorkflow.run,
        RefundOrder(refund_id=id, stripe_refund_id=refund.id),
        id=refund_workflow_id(id),
        task_queue=QUEUE,
        start_signal="refund_event",
        start_signal_args=[RefundEvent(event_id=f"evt_{uuid4().hex}", type="refund.created")],
    )


async def adopted(saga: Saga, booked: Booked, amount_minor: int, flags: Flags) -> Refund:
    refund = await made(saga, booked, amount_minor, flags)
    assert await (await hear(saga, refund)).result() is RefundStatus.SUCCEEDED
    return await kept(saga, external_refund_id(refund.id))


async def is_as_at_stripe(saga: Saga, booked: Booked) -> None:
    """The records and the ledger against what Stripe has."""
    payment, figures = await booked.payment(), await booked.figures()
    assert payment is not None
    assert payment.captured_minor == figures.student_paid_minor
    ledger = await balances(saga, booked)
    assert -ledger.get(Account.INSTRUCTOR_PAYABLE, 0) == figures.instructor_received_minor
    assert ledger.get(Account.CONNECTED_BALANCE, 0) == figures.instructor_received_minor
    assert ledger[Account.STRIPE_BALANCE] == figures.platform_kept_minor - figures.stripe_fee_minor
    assert ledger.get(Account.PLATFORM_LOSSES, 0) - ledger.get(Account.PLATFORM_REVENUE, 0) in (
        figures.platform_kept_minor,
        figures.platform_kept_minor + 2 * ledger.get(Account.PLATFORM_LOSSES, 0),
    )
    async with AsyncSession(saga.engine) as session:
        live_session = await session.get_one(LiveSession, payment.booking_id)
    assert live_session.instructor_payout_minor == figures.instructor_received_minor


@pytest.mark.parametrize(
    ("flags", "borne_by", "instructor", "fee", "loss"),
    [
        (BOTH, LossBearer.BOTH, 4_000, 1_000, 0),
        (NO_FEE, LossBearer.BOTH, 5_000, 0, 0),
        (NO_SHARES, LossBearer.PLATFORM, 0, 1_000, 4_000),
    ],
)
async def test_half_of_a_charge_refunded_in_the_dashboard_is_in_all_books(
    saga: Saga, flags: Flags, borne_by: LossBearer, instructor: int, fee: int, loss: int
) -> None:
    booked = await completed(saga)
    row = await adopted(saga, booked, 5_000, flags)
    assert (row.status, row.borne_by, row.ordered_by) == (RefundStatus.SUCCEEDED, borne_by, None)
    assert (row.instructor_minor, row.platform_fee_minor, row.platform_loss_minor) == (instructor, fee, loss)
    assert await money(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 5_000, 5_000, 2_000 - fee)
    await is_as_at_stripe(saga, booked)
    assert await notifications(saga, booked) == {(NotificationKind.REFUNDED, recipient) for recipient in Recipient}
    async with AsyncSession(saga.engine) as session:
        told = await session.exec(select(AuditEvent).where(col(AuditEvent.action) == "booking.refunded"))
        assert [(each.actor_role, each.actor_id, each.channel) for each in told] == [
            (Role.OPERATOR, None, Channel.STRIPE)
        ]
    # What is left can still be refunded here, and no more.
    assert "At most 50.00 USD" in ((await refunded(saga, booked, 5_001)).refusal or "")
    assert (await refunded(saga, booked, 5_000)).status is RefundStatus.SUCCEEDED
    assert (await booked.figures()).student_paid_minor == 0
    await is_as_at_stripe(saga, booked)


async def test_all_of_a_charge_may_go_back_without_its_fee_which_the_instructor_then_owes(saga: Saga) -> None:
    booked = await completed(saga)
    await adopted(saga, booked, 10_000, NO_FEE)
    assert await money(booked) == (PaymentStatus.REFUNDED, 0, 10_000, 2_000)
    assert (await balances(saga, booked))[Account.INSTRUCTOR_PAYABLE] == 2_000
    await is_as_at_stripe(saga, booked)
    async with AsyncSession(saga.engine) as session:
        of_booking = col(InstructorPayout.booking_id) == booked.order.terms.booking_id
        assert (await session.exec(select(InstructorPayout).where(of_booking))).one().status is PayoutStatus.REVERSED


@pytest.mark.parametrize("lost", ["adopt_refund", "record_refund"])
async def test_a_refund_is_adopted_once_however_often_it_is_heard_of(saga: Saga, lost: str) -> None:
    booked = await completed(saga)
    refund = await made(saga, booked, 3_333, BOTH)
    saga.faults.fail("after", lost, Unknown("the answer was lost"))
    for _ in range(2):
        await (await hear(saga, refund)).result()
    assert saga.faults.all_taken
    assert await money(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 6_667, 3_333, 1_333)
    await is_as_at_stripe(saga, booked)


@pytest.mark.concurrent_workflows
async def test_refunds_from_here_and_from_the_dashboard_at_once_are_each_written_down_once(saga: Saga) -> None:
    booked = await completed(saga)
    ours, theirs = await asyncio.gather(ordered(saga, booked, 4_000), made(saga, booked, 3_000, BOTH))
    handles = [await hear(saga, theirs), await hear(saga, await made(saga, booked, 1_000, BOTH))]
    view = await carried_out(saga, ours)
    # One at a time: while two results are awaited, the server also skips time during activities.
    for handle in handles:
        await handle.result()
    # An order that came while another refund was being made is refused for now.
    if view.status is RefundStatus.REQUESTED:
        assert view.refusal
        await carried_out(saga, ours)
    assert await money(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 2_000, 8_000, 400)
    rows = [await kept(saga, id) for id in (ours, *(UUID(handle.id.removeprefix("refund-")) for handle in handles))]
    assert [(row.instructor_minor, row.platform_fee_minor) for row in rows] == [(3_200, 800), (2_400, 600), (800, 200)]
    await is_as_at_stripe(saga, booked)


async def test_a_refund_while_the_end_of_its_booking_is_not_written_down_waits_for_that(saga: Saga) -> None:
    booked = await saga.paid()
    await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))
    await booked.until_begun()
    intent = await booked.payment_intent()
    assert intent is not None
    await saga.stripe.v1.payment_intents.capture_async(intent.id, {"application_fee_amount": 2_000})
    handle = await hear(saga, await made(saga, booked, 2_500, BOTH))
    await booked.handle.execute_update(BookingWorkflow.settle, Settle(actor=OPERATOR))
    assert await handle.result() is RefundStatus.SUCCEEDED
    assert await money(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 7_500, 2_500, 1_500)
    await is_as_at_stripe(saga, booked)


async def test_one_that_is_under_way_is_followed(saga: Saga) -> None:
    booked = await captured(saga, WAITS)
    refund = await made(saga, booked, 5_000, BOTH)
    handle = await hear(saga, refund)
    await at_the_bank(saga, refund.id, "succeed")
    await hear(saga, refund)
    assert await handle.result() is RefundStatus.SUCCEEDED
    assert (await kept(saga, external_refund_id(refund.id))).status is RefundStatus.SUCCEEDED
    await is_as_at_stripe(saga, booked)


async def test_one_that_the_bank_sends_back_can_be_tried_again_here(saga: Saga) -> None:
    booked = await captured(saga, COMES_BACK)
    row = await adopted(saga, booked, 5_000, BOTH)
    assert row.stripe_refund_id
    await at_the_bank(saga, row.stripe_refund_id, "fail")
    await (await hear(saga, await saga.stripe.v1.refunds.retrieve_async(row.stripe_refund_id))).result()
    assert (await kept(saga, row.id)).status is RefundStatus.FAILED
    again = await saga.env.client.execute_update_with_start_workflow(
        RefundWorkflow.try_again, RetryRefund(actor=OPERATOR), start_workflow_operation=starting(row.id)
    )
    assert again.status is RefundStatus.SUCCEEDED
    assert Account.REFUNDS not in await balances(saga, booked)
    # The shares were taken once.
    assert await money(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 5_000, 5_000, 1_000)
    assert (await booked.figures()).instructor_received_minor == 4_000


async def test_another_programs_refund_is_left_alone(saga: Saga) -> None:
    intent = await saga.stripe.v1.payment_intents.create_async(
        {
            "amount": 700,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "confirm": True,
        }
    )
    refund = await saga.stripe.v1.refunds.create_async({"payment_intent": intent.id})
    assert await (await hear(saga, refund)).result() is None
