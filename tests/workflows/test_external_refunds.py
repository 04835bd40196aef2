"""Refunds made in Stripe's dashboard are adopted once, and handled as if an operator had ordered them."""

import asyncio
from uuid import UUID

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.actors import Role
from models.domain.errors import Unknown
from models.domain.ids import external_refund_id
from models.domain.ledger import Account
from models.domain.messages import Approve, Channel, Settle
from models.domain.notifications import NotificationKind, Recipient
from models.domain.policy import LossBearer, PaymentPlan
from models.domain.refunds import RetryRefund
from models.domain.states import PaymentStatus, PayoutStatus, RefundStatus
from models.tables.audit import AuditEvent
from models.tables.bookings import LiveSession
from models.tables.payments import InstructorPayout
from models.tables.refunds import Refund
from tests.workflows.dispute_steps import balances
from tests.workflows.refund_steps import (
    BOTH,
    NO_FEE,
    NO_SHARES,
    OPERATOR,
    REFUND_FAILING_CARD,
    REFUND_PENDING_CARD,
    Flags,
    act_at_the_bank,
    completed_with,
    execute_refund,
    notifications,
    notify_external,
    order_refund,
    payment_totals,
    refund_booking,
    refund_in_dashboard,
    starting,
    stored_refund,
    usual_flags,
)
from tests.workflows.saga import Booked, Saga, both_plans
from workflows.booking.workflow import BookingWorkflow
from workflows.refunds import RefundWorkflow

HOLD, CHARGE = PaymentPlan


async def adopt(saga: Saga, booked: Booked, amount_minor: int, flags: Flags) -> Refund:
    refund = await refund_in_dashboard(saga, booked, amount_minor, flags)
    assert await (await notify_external(saga, refund)).result() is RefundStatus.SUCCEEDED
    return await stored_refund(saga, external_refund_id(refund.id))


async def check_against_stripe(saga: Saga, booked: Booked) -> None:
    """Compare the records and the ledger with Stripe's objects."""
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
    ("plan", "flags", "borne_by", "instructor", "fee", "loss"),
    [
        (HOLD, BOTH, LossBearer.BOTH, 4_000, 1_000, 0),
        (HOLD, NO_FEE, LossBearer.BOTH, 5_000, 0, 0),
        (HOLD, NO_SHARES, LossBearer.PLATFORM, 0, 1_000, 4_000),
        (CHARGE, NO_SHARES, LossBearer.PLATFORM, 0, 1_000, 4_000),
    ],
)
async def test_dashboard_refund_is_recorded_and_posted(
    saga: Saga, flags: Flags, borne_by: LossBearer, instructor: int, fee: int, loss: int
) -> None:
    booked = await saga.completed()
    row = await adopt(saga, booked, 5_000, flags)
    assert (row.status, row.borne_by, row.ordered_by) == (RefundStatus.SUCCEEDED, borne_by, None)
    assert (row.instructor_minor, row.platform_fee_minor, row.platform_loss_minor) == (instructor, fee, loss)
    assert await payment_totals(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 5_000, 5_000, 2_000 - fee)
    await check_against_stripe(saga, booked)
    assert await notifications(saga, booked) == {(NotificationKind.REFUNDED, recipient) for recipient in Recipient}
    async with AsyncSession(saga.engine) as session:
        events = await session.exec(select(AuditEvent).where(col(AuditEvent.action) == "booking.refunded"))
        assert [(each.actor_role, each.actor_id, each.channel) for each in events] == [
            (Role.OPERATOR, None, Channel.STRIPE)
        ]
    # The rest can still be refunded by an operator, and no more.
    assert "At most 50.00 USD" in ((await refund_booking(saga, booked, 5_001)).refusal or "")
    assert (await refund_booking(saga, booked, 5_000)).status is RefundStatus.SUCCEEDED
    assert (await booked.figures()).student_paid_minor == 0
    await check_against_stripe(saga, booked)


async def test_full_dashboard_refund_without_the_fee_is_owed_by_the_instructor(saga: Saga) -> None:
    booked = await saga.completed()
    await adopt(saga, booked, 10_000, NO_FEE)
    assert await payment_totals(booked) == (PaymentStatus.REFUNDED, 0, 10_000, 2_000)
    assert (await balances(saga, booked))[Account.INSTRUCTOR_PAYABLE] == 2_000
    await check_against_stripe(saga, booked)
    async with AsyncSession(saga.engine) as session:
        of_booking = col(InstructorPayout.booking_id) == booked.order.terms.booking_id
        assert (await session.exec(select(InstructorPayout).where(of_booking))).one().status is PayoutStatus.REVERSED


@both_plans
@pytest.mark.parametrize("lost", ["adopt_refund", "record_refund"])
async def test_refund_is_adopted_once_for_repeated_events(saga: Saga, lost: str) -> None:
    booked = await saga.completed()
    refund = await refund_in_dashboard(saga, booked, 3_333, usual_flags(saga))
    saga.faults.fail("after", lost, Unknown("the response was lost"))
    for _ in range(2):
        await (await notify_external(saga, refund)).result()
    assert saga.faults.all_taken
    assert await payment_totals(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 6_667, 3_333, 1_333)
    await check_against_stripe(saga, booked)


async def test_concurrent_refunds_from_api_and_dashboard_are_each_recorded_once(saga: Saga) -> None:
    booked = await saga.completed()
    ours, theirs = await asyncio.gather(
        order_refund(saga, booked, 4_000), refund_in_dashboard(saga, booked, 3_000, BOTH)
    )
    handles = [
        await notify_external(saga, theirs),
        await notify_external(saga, await refund_in_dashboard(saga, booked, 1_000, BOTH)),
    ]
    view = await execute_refund(saga, ours)
    # One at a time: while two results are awaited, the server also skips time during activities.
    for handle in handles:
        await handle.result()
    # An order that came while another refund was being made is refused for now.
    if view.status is RefundStatus.REQUESTED:
        assert view.refusal
        await execute_refund(saga, ours)
    assert await payment_totals(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 2_000, 8_000, 400)
    rows = [
        await stored_refund(saga, id) for id in (ours, *(UUID(handle.id.removeprefix("refund-")) for handle in handles))
    ]
    assert [(row.instructor_minor, row.platform_fee_minor) for row in rows] == [(3_200, 800), (2_400, 600), (800, 200)]
    await check_against_stripe(saga, booked)


async def test_dashboard_refund_waits_until_the_end_of_the_booking_is_recorded(saga: Saga) -> None:
    booked = await saga.paid()
    await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))
    await booked.until_ended()
    intent = await booked.payment_intent()
    assert intent is not None
    await saga.stripe.v1.payment_intents.capture_async(intent.id, {"application_fee_amount": 2_000})
    handle = await notify_external(saga, await refund_in_dashboard(saga, booked, 2_500, BOTH))
    await booked.handle.execute_update(BookingWorkflow.settle, Settle(actor=OPERATOR))
    assert await handle.result() is RefundStatus.SUCCEEDED
    assert await payment_totals(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 7_500, 2_500, 1_500)
    await check_against_stripe(saga, booked)


@both_plans
async def test_pending_dashboard_refund_is_followed(saga: Saga) -> None:
    booked = await completed_with(saga, REFUND_PENDING_CARD)
    refund = await refund_in_dashboard(saga, booked, 5_000, usual_flags(saga))
    handle = await notify_external(saga, refund)
    await act_at_the_bank(saga, refund.id, "succeed")
    await notify_external(saga, refund)
    assert await handle.result() is RefundStatus.SUCCEEDED
    assert (await stored_refund(saga, external_refund_id(refund.id))).status is RefundStatus.SUCCEEDED
    await check_against_stripe(saga, booked)


@both_plans
async def test_failed_dashboard_refund_can_be_retried(saga: Saga) -> None:
    booked = await completed_with(saga, REFUND_FAILING_CARD)
    row = await adopt(saga, booked, 5_000, usual_flags(saga))
    assert row.stripe_refund_id
    await act_at_the_bank(saga, row.stripe_refund_id, "fail")
    await (await notify_external(saga, await saga.stripe.v1.refunds.retrieve_async(row.stripe_refund_id))).result()
    assert (await stored_refund(saga, row.id)).status is RefundStatus.FAILED
    again = await saga.env.client.execute_update_with_start_workflow(
        RefundWorkflow.try_again, RetryRefund(actor=OPERATOR), start_workflow_operation=starting(row.id)
    )
    assert again.status is RefundStatus.SUCCEEDED
    assert Account.REFUNDS not in await balances(saga, booked)
    # The shares were taken once.
    assert await payment_totals(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 5_000, 5_000, 1_000)
    assert (await booked.figures()).instructor_received_minor == (4_000 if saga.plan is HOLD else 8_000)


async def test_refund_of_a_charge_without_booking_is_ignored(saga: Saga) -> None:
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
    assert await (await notify_external(saga, refund)).result() is None
