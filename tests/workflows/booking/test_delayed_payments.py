"""A payment that takes days to succeed or fail, such as a bank debit.

The sandbox is the test's own: its clock moves with the workflow's.
"""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from models.domain.endings import EndReason
from models.domain.messages import Cancel, Complete
from models.domain.policy import BookingPolicy, Deadlines, PaymentPlan
from models.domain.states import BookingStatus, PaymentStatus
from sandbox.browser.checkout_page import CheckoutClosed, pay_with
from sandbox.demo.figures import Figures
from tests.conftest import StripeSandbox
from tests.own_stripe import own_sandbox
from tests.workflows.booking.renewal_steps import DAY, HOUR, assert_ledger_is_stripes, pass_time, total
from tests.workflows.saga import Booked, Saga
from workflows.booking.workflow import BookingWorkflow

SUCCEEDS, FAILS, STAYS = "000123456789", "000222222227", "000000000009"
CONFIRMED_IN = 5 * DAY
FEE_ONLY = Figures(0, 0, 0, 80)


@pytest.fixture
async def stripe_sandbox() -> AsyncIterator[StripeSandbox]:
    async with own_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def plan() -> PaymentPlan:
    return PaymentPlan.CHARGE_THEN_TRANSFER


async def processing(saga: Saga, account: str, starts_in: timedelta = 30 * DAY, **wish: object) -> Booked:
    booked = await saga.booked(starts_in=starts_in, **wish)
    assert await pay_with(booked.checkout_url, "us_bank_account", account)
    await booked.notify()
    await saga.env.sleep(5)
    return booked


async def test_a_booking_is_pending_until_its_debit_succeeds(saga: Saga) -> None:
    booked = await processing(saga, SUCCEEDS)
    request = await booked.request()
    assert request is not None
    assert (request.status, await booked.payment()) == (BookingStatus.PENDING, None)
    # A day before the session it is too late.
    assert request.next_deadline_at == booked.order.terms.starts_at - DAY
    await pass_time(saga, CONFIRMED_IN)
    assert await booked.payment() is None
    await booked.notify()
    await saga.until_stored(booked, PaymentStatus.PENDING)
    await booked.approve()
    await pass_time(saga, 25 * DAY + 2 * HOUR)
    view = await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert (view.booking_status, view.payment_status) == (BookingStatus.COMPLETED, PaymentStatus.CAPTURED)
    assert await total(booked) == Figures(10_000, 8_000, 2_000, 80)
    await assert_ledger_is_stripes(saga)


async def test_a_debit_that_fails_deletes_the_booking_as_a_declined_card_does(saga: Saga) -> None:
    booked = await processing(saga, FAILS)
    await pass_time(saga, CONFIRMED_IN)
    await booked.notify()
    view = await booked.result()
    assert (view.booking_status, view.end_reason) == (None, EndReason.CARD_DECLINED)
    payment = await booked.payment()
    assert payment is not None
    assert (payment.status, payment.decline_code) == (PaymentStatus.FAILED, "insufficient_funds")
    assert await booked.request() is None
    assert await booked.lasted() < CONFIRMED_IN + HOUR
    await assert_ledger_is_stripes(saga)


@pytest.mark.parametrize("account", [SUCCEEDS, FAILS])
async def test_a_cancellation_waits_for_the_debit_and_returns_it(saga: Saga, account: str) -> None:
    """Even if the event of its outcome is lost: it is looked up once a day."""
    booked = await processing(saga, account)
    await booked.handle.signal(BookingWorkflow.cancel_signal, Cancel(actor=booked.student))
    await saga.env.sleep(5)
    request = await booked.request()
    assert request is not None
    assert request.status is BookingStatus.PENDING
    assert not request.needs_attention
    await pass_time(saga, CONFIRMED_IN + DAY)
    view = await booked.result()
    assert view.booking_status is BookingStatus.CANCELLED
    assert view.payment_status is (PaymentStatus.REFUNDED if account == SUCCEEDS else None)
    assert await total(booked) == (FEE_ONLY if account == SUCCEEDS else Figures())
    await assert_ledger_is_stripes(saga)


async def test_a_debit_that_succeeds_after_the_deadline_is_returned(saga: Saga) -> None:
    policy = BookingPolicy(deadlines=Deadlines(renewal_lead=28 * DAY))
    booked = await processing(saga, SUCCEEDS, policy=policy)
    await pass_time(saga, CONFIRMED_IN + 2 * DAY)
    view = await booked.result()
    assert (view.booking_status, view.end_reason) == (None, EndReason.CHECKOUT_EXPIRED)
    assert await booked.request() is None
    assert await total(booked) == FEE_ONLY
    await assert_ledger_is_stripes(saga)


async def test_a_debit_that_stays_open_is_looked_at_once_a_day(saga: Saga) -> None:
    booked = await processing(saga, STAYS)
    await booked.handle.signal(BookingWorkflow.cancel_signal, Cancel(actor=booked.student))
    before = len(saga.faults.calls)
    await pass_time(saga, 10 * DAY)
    # A release looks, is refused and looks again; then the workflow does.
    assert 10 <= len(saga.faults.calls) - before <= 50


async def test_methods_that_take_days_are_not_offered_for_a_session_in_less_than_two_weeks(saga: Saga) -> None:
    booked = await saga.booked(starts_in=10 * DAY)
    with pytest.raises(CheckoutClosed):
        await pay_with(booked.checkout_url, "us_bank_account", SUCCEEDS)


async def test_a_method_with_a_page_of_its_own_is_charged_at_once(saga: Saga) -> None:
    booked = await saga.booked(starts_in=30 * DAY)
    assert await pay_with(booked.checkout_url, "klarna")
    await booked.notify()
    await saga.until_stored(booked, PaymentStatus.PENDING)
    await booked.approve()
    await booked.until_ended()
    await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert await total(booked) == Figures(10_000, 8_000, 2_000, 629)
    await assert_ledger_is_stripes(saga)
