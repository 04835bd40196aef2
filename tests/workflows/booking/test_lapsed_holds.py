"""A hold that has ended: noticed when it happens, or at the latest when it is to be captured, and paid again.

The sandbox is the test's own: its clock moves with the workflow's.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest

from models.domain.actors import Actor, Role
from models.domain.endings import EndReason
from models.domain.messages import Cancel, Complete, Reject, Release, Retry, Settle, SettleAndRefund
from models.domain.money import Money
from models.domain.policy import PaymentPlan
from models.domain.renewals import LATE_PAYMENT_MISSING
from models.domain.states import BookingStatus, PaymentStatus
from sandbox.browser.checkout_page import POOR_CARD, CheckoutClosed, pay
from sandbox.demo.figures import Figures
from tests.conftest import StripeSandbox
from tests.own_stripe import own_sandbox
from tests.workflows.booking.renewal_steps import (
    DAY,
    HOUR,
    assert_ledger_is_stripes,
    end_hold,
    pass_time,
    pay_again,
    total,
    until_asked,
)
from tests.workflows.saga import Booked, Saga
from workflows.booking.workflow import BookingWorkflow

OPERATOR = Actor(role=Role.OPERATOR, id=UUID(int=3))
ALL, HALF, NOTHING = Figures(10_000, 8_000, 2_000, 320), Figures(5_000, 4_000, 1_000, 175), Figures()


@pytest.fixture
async def stripe_sandbox() -> AsyncIterator[StripeSandbox]:
    async with own_sandbox() as sandbox:
        yield sandbox


async def lapsed(booked: Booked) -> None:
    """Stripe has sent its event."""
    await end_hold(booked)
    await booked.notify()
    await booked.saga.until_audited(booked, "booking.hold_lapsed")


async def complete(booked: Booked) -> None:
    """Without waiting for its outcome: the student has to pay first."""
    await booked.handle.signal(BookingWorkflow.complete_signal, Complete(actor=booked.instructor))


async def assert_ends(booked: Booked, status: BookingStatus, payment: PaymentStatus, figures: Figures) -> None:
    view = await booked.result()
    assert (view.booking_status, view.payment_status, view.needs_attention) == (status, payment, False)
    assert await total(booked) == figures
    await assert_ledger_is_stripes(booked.saga)


async def test_a_hold_that_lapses_before_the_session_is_paid_again(saga: Saga) -> None:
    booked = await saga.accepted()
    await lapsed(booked)
    payment, asked = await booked.payment(), await until_asked(booked)
    assert payment is not None
    assert payment.lapsed_at is not None
    assert (payment.status, asked.reason) == (PaymentStatus.PENDING, "hold_lapsed")
    assert asked.pay_by == booked.order.terms.starts_at - DAY
    assert await pay_again(booked)
    await saga.until_audited(booked, "booking.payment_renewed")
    payment = await booked.payment()
    assert payment is not None
    assert (payment.lapsed_at, payment.plan) == (None, PaymentPlan.CHARGE_THEN_TRANSFER)
    await booked.until_ended()
    await complete(booked)
    await assert_ends(booked, BookingStatus.COMPLETED, PaymentStatus.CAPTURED, ALL)


async def test_a_lapse_is_noticed_at_the_next_look_if_its_event_is_lost(saga: Saga) -> None:
    booked = await saga.accepted()
    await end_hold(booked)
    await booked.notify()  # of something else
    await until_asked(booked)


async def test_a_booking_whose_lapsed_hold_is_not_paid_again_is_cancelled_before_its_session(saga: Saga) -> None:
    booked = await saga.accepted()
    await lapsed(booked)
    await pass_time(saga, 46 * HOUR)
    await pass_time(saga, 3 * HOUR, step=timedelta(minutes=20))  # The last page is short.
    view = await booked.result()
    assert view.end_reason is EndReason.PAYMENT_NOT_RENEWED
    await assert_ends(booked, BookingStatus.CANCELLED, PaymentStatus.REFUNDED, NOTHING)


@pytest.mark.parametrize("is_paid_first", [True, False])
async def test_a_hold_that_lapses_before_the_approval_is_paid_again_before_or_after_it(
    saga: Saga, is_paid_first: bool
) -> None:
    booked = await saga.paid()
    await lapsed(booked)
    asked = await until_asked(booked)
    # By when the instructor has to decide.
    assert asked.pay_by < booked.order.terms.starts_at - 47 * HOUR
    if is_paid_first:
        assert await pay_again(booked)
        await saga.until_audited(booked, "booking.payment_renewed")
    view = await booked.approve()
    assert view.booking_status is BookingStatus.ACCEPTED
    if not is_paid_first:
        assert await pay_again(booked)
        await saga.until_audited(booked, "booking.payment_renewed")
    await booked.until_ended()
    await complete(booked)
    await assert_ends(booked, BookingStatus.COMPLETED, PaymentStatus.CAPTURED, ALL)


async def test_a_rejection_closes_the_page_of_a_lapsed_hold(saga: Saga) -> None:
    booked = await saga.paid()
    await lapsed(booked)
    asked = await until_asked(booked)
    await booked.handle.execute_update(BookingWorkflow.reject, Reject(actor=booked.instructor))
    with pytest.raises(CheckoutClosed):
        await pay(asked.checkout_url or "")
    await assert_ends(booked, BookingStatus.REJECTED, PaymentStatus.REFUNDED, NOTHING)


@pytest.mark.parametrize("is_noticed", [True, False], ids=["noticed", "event lost"])
async def test_a_session_that_took_place_on_a_lapsed_hold_is_paid_late_and_settled(
    saga: Saga, is_noticed: bool
) -> None:
    booked = await saga.accepted()
    await pass_time(saga, 3 * DAY + timedelta(minutes=1))
    if is_noticed:
        await lapsed(booked)
    else:
        await end_hold(booked)
    await saga.env.sleep(HOUR)
    await complete(booked)
    asked = await until_asked(booked)
    now = await saga.env.get_current_time()
    assert (asked.reason, asked.amount_minor) == ("hold_lapsed", 10_000)
    assert 71 * HOUR < asked.pay_by - now <= 72 * HOUR
    assert not await pay_again(booked, POOR_CARD)
    assert await pay_again(booked)
    await assert_ends(booked, BookingStatus.COMPLETED, PaymentStatus.CAPTURED, ALL)


async def unpaid(saga: Saga) -> tuple[Booked, int]:
    """A session that nobody has paid for in time, and the next page's number. It waits for an operator."""
    booked = await saga.accepted()
    await pass_time(saga, 3 * DAY + 2 * HOUR)
    await end_hold(booked)
    await complete(booked)
    await until_asked(booked)
    await pass_time(saga, 69 * HOUR)
    await pass_time(saga, 4 * HOUR, step=timedelta(minutes=20))  # The last page is short.
    await saga.until_needs_attention(booked)
    request = await booked.request()
    assert request is not None
    assert request.attention_reason == LATE_PAYMENT_MISSING
    return booked, 5


@pytest.mark.parametrize("decision", ["retry", "settle", "refund"])
async def test_an_operator_has_the_student_asked_once_more(saga: Saga, decision: str) -> None:
    """To settle is to want the money, which only the student can pay."""
    booked, page = await unpaid(saga)
    message = {
        "retry": Retry(actor=OPERATOR),
        "settle": Settle(actor=OPERATOR),
        "refund": SettleAndRefund(actor=OPERATOR, amount=Money(amount_minor=5_000, currency="usd")),
    }[decision]
    decided = asyncio.create_task(booked.handle.execute_update(decision, message))
    asked = await until_asked(booked, page)
    assert asked.amount_minor == (5_000 if decision == "refund" else 10_000)
    assert await pay_again(booked, page=page)
    await decided
    if decision == "refund":
        await assert_ends(booked, BookingStatus.COMPLETED, PaymentStatus.PARTIALLY_REFUNDED, HALF)
    else:
        await assert_ends(booked, BookingStatus.COMPLETED, PaymentStatus.CAPTURED, ALL)


async def test_an_operator_releases_a_session_that_nobody_paid_for(saga: Saga) -> None:
    booked, _ = await unpaid(saga)
    await booked.handle.execute_update(BookingWorkflow.release, Release(actor=OPERATOR))
    await assert_ends(booked, BookingStatus.CANCELLED, PaymentStatus.REFUNDED, NOTHING)


async def awaited(saga: Saga) -> Booked:
    """A session that took place, and for which its student can still pay."""
    booked = await saga.accepted()
    await pass_time(saga, 3 * DAY + 2 * HOUR)
    await end_hold(booked)
    await complete(booked)
    await until_asked(booked)
    return booked


async def test_an_operator_releases_a_session_while_its_student_can_still_pay(saga: Saga) -> None:
    booked = await awaited(saga)
    asked = await until_asked(booked)
    await booked.handle.execute_update(BookingWorkflow.release, Release(actor=OPERATOR))
    with pytest.raises(CheckoutClosed):
        await pay(asked.checkout_url or "")
    await assert_ends(booked, BookingStatus.CANCELLED, PaymentStatus.REFUNDED, NOTHING)


async def test_an_operator_lowers_what_a_student_can_still_pay(saga: Saga) -> None:
    booked = await awaited(saga)
    half = SettleAndRefund(actor=OPERATOR, amount=Money(amount_minor=5_000, currency="usd"))
    decided = asyncio.create_task(booked.handle.execute_update(BookingWorkflow.refund, half))
    asked = await until_asked(booked, 2)
    assert asked.amount_minor == 5_000
    assert await pay_again(booked, page=2)
    await decided
    await assert_ends(booked, BookingStatus.COMPLETED, PaymentStatus.PARTIALLY_REFUNDED, HALF)


@pytest.mark.parametrize("is_noticed", [True, False], ids=["noticed", "event lost"])
async def test_a_late_cancellation_on_a_lapsed_hold_asks_for_what_it_keeps(saga: Saga, is_noticed: bool) -> None:
    booked = await saga.accepted(starts_in=12 * HOUR)
    if is_noticed:
        await lapsed(booked)
        await until_asked(booked)
    else:
        await end_hold(booked)
    await booked.handle.signal(BookingWorkflow.cancel_signal, Cancel(actor=booked.student))
    page = 2 if is_noticed else 1
    asked = await until_asked(booked, page)
    assert asked.amount_minor == 5_000
    assert await pay_again(booked, page=page)
    await assert_ends(booked, BookingStatus.CANCELLED, PaymentStatus.PARTIALLY_REFUNDED, HALF)


async def test_an_early_cancellation_on_a_lapsed_hold_asks_for_nothing(saga: Saga) -> None:
    booked = await saga.accepted()
    await end_hold(booked)
    await booked.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=booked.student))
    await assert_ends(booked, BookingStatus.CANCELLED, PaymentStatus.REFUNDED, NOTHING)
    assert timedelta(0) < await booked.lasted() < HOUR
