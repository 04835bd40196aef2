"""A hold is captured, and perhaps refunded, in Stripe's dashboard before its booking ends."""

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.ledger import Account
from models.domain.messages import Cancel, Release, SettleAndRefund
from models.domain.money import Money
from models.domain.states import BookingStatus, PaymentStatus, PayoutStatus, SessionStatus
from models.tables.bookings import LiveSession
from models.tables.payments import InstructorPayout
from sandbox.demo.figures import Figures
from tests.workflows.dispute_steps import balances
from tests.workflows.refund_steps import OPERATOR, payment_totals
from tests.workflows.saga import Booked, Saga
from workflows.booking.workflow import BookingWorkflow

_LATE = timedelta(hours=12)
"""The policy keeps half of the price."""


async def _captured(saga: Saga, amount_minor: int, refunded_minor: int = 0, **flags: bool) -> Booked:
    """An accepted booking of 100.00 USD whose hold is captured in the dashboard. Stripe does not prorate the fee."""
    booked = await saga.accepted(starts_in=_LATE)
    intent = await booked.payment_intent()
    assert intent is not None
    await saga.stripe.v1.payment_intents.capture_async(intent.id, {"amount_to_capture": amount_minor})
    # An event that comes late is no reason to park: the hold is not lost.
    await booked.notify()
    await saga.env.sleep(1)
    request = await booked.request()
    assert request is not None
    assert not request.needs_attention
    if refunded_minor:
        params: Any = {"payment_intent": intent.id, "amount": refunded_minor, **flags}
        await saga.stripe.v1.refunds.create_async(params)
    return booked


async def _check_ledger(saga: Saga, booked: Booked, figures: Figures) -> None:
    """The ledger and the session are what Stripe has."""
    assert await booked.figures() == figures
    ledger = await balances(saga, booked)
    assert ledger.get(Account.CONNECTED_BALANCE, 0) == figures.instructor_received_minor
    assert -ledger.get(Account.INSTRUCTOR_PAYABLE, 0) == figures.instructor_received_minor
    assert ledger[Account.STRIPE_BALANCE] == figures.platform_kept_minor - figures.stripe_fee_minor
    assert Account.REFUNDS not in ledger
    async with AsyncSession(saga.engine) as session:
        live_session = await session.get_one(LiveSession, booked.order.terms.booking_id)
    assert live_session.instructor_payout_minor == figures.instructor_received_minor


@pytest.mark.parametrize("amount_minor", [5_000, 10_000])
async def test_late_cancellation_keeps_half_of_what_the_dashboard_captured(saga: Saga, amount_minor: int) -> None:
    booked = await _captured(saga, amount_minor)
    view = await booked.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=booked.student))
    assert (view.booking_status, view.session_status) == (BookingStatus.CANCELLED, SessionStatus.CANCELLED)
    assert await payment_totals(booked) == (PaymentStatus.PARTIALLY_REFUNDED, 5_000, 5_000, 1_000)
    stripe_fee = 175 if amount_minor == 5_000 else 320
    await _check_ledger(saga, booked, Figures(5_000, 4_000, 1_000, stripe_fee))


async def test_operator_ends_a_cancellation_of_which_less_was_captured_and_it_stays_cancelled(saga: Saga) -> None:
    booked = await _captured(saga, 4_000)
    view = await booked.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=booked.student))
    assert view.needs_attention
    request = await booked.request()
    assert request is not None
    assert "less_is_captured_than_the_ending_keeps" in (request.attention_reason or "")
    await booked.until_begun()
    sixty = SettleAndRefund(actor=OPERATOR, amount=Money(amount_minor=6_000, currency="usd"), has_reason=True)
    view = await booked.handle.execute_update(BookingWorkflow.refund, sixty)
    assert (view.booking_status, view.session_status) == (BookingStatus.CANCELLED, SessionStatus.CANCELLED)
    await _check_ledger(saga, booked, Figures(4_000, 3_200, 800, 146))


@pytest.mark.parametrize(
    ("flags", "received"), [({}, 8_000), ({"reverse_transfer": True}, -2_000)], ids=["nothing reversed", "no fee"]
)
async def test_release_records_the_shares_that_a_dashboard_refund_left(
    saga: Saga, flags: dict[str, bool], received: int
) -> None:
    booked = await _captured(saga, 10_000, 10_000, **flags)
    view = await booked.handle.execute_update(BookingWorkflow.release, Release(actor=OPERATOR))
    assert (view.booking_status, view.payment_status) == (BookingStatus.CANCELLED, PaymentStatus.REFUNDED)
    await _check_ledger(saga, booked, Figures(0, received, -received, 320))
    async with AsyncSession(saga.engine) as session:
        of_booking = select(InstructorPayout).where(col(InstructorPayout.booking_id) == booked.order.terms.booking_id)
        payouts = (await session.exec(of_booking)).all()
    assert [(payout.status, payout.amount_minor) for payout in payouts] == (
        [(PayoutStatus.PROCESSING, received)] if received > 0 else []
    )


async def test_release_returns_the_rest_of_a_capture_that_was_refunded_in_part(saga: Saga) -> None:
    booked = await _captured(saga, 10_000, 3_000)
    await booked.handle.execute_update(BookingWorkflow.release, Release(actor=OPERATOR))
    figures = await booked.figures()
    assert figures.student_paid_minor == 0
    await _check_ledger(saga, booked, figures)
