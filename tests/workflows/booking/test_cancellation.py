"""Cancelling the workflow in Temporal, wherever it waits: the money is returned, once."""

from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from models.domain.errors import Declined
from models.domain.messages import Approve, Complete
from models.domain.policy import PaymentPlan
from models.domain.states import BookingStatus, PaymentStatus
from sandbox.browser.checkout_page import CheckoutClosed, pay
from sandbox.demo.figures import Figures
from tests.workflows.faults import When
from tests.workflows.saga import Booked, Saga, both_plans
from workflows.booking.workflow import BookingWorkflow

# In the order in which a completed booking calls them.
_ACTIVITIES = (
    "reserve_slot",
    "secure_payment",
    "record_checkout",
    "look_up_payment",
    "record_authorization",
    "record_acceptance",
    "settle_payment",
    "record_ending",
)


HOLD, CHARGE = PaymentPlan
_OF_A_CHARGE = tuple((CHARGE, each) for each in ("look_up_payment", "settle_payment", "record_ending"))
"""The steps that move other money, or record it otherwise. The others are the same under both plans."""


async def _play_on(booked: Booked) -> None:
    """Continue the booking as if it had not been cancelled. Its end may refuse any of the steps."""
    try:
        await booked.pay()
        await booked.saga.env.sleep(1)
        await booked.handle.signal(BookingWorkflow.approve_signal, Approve(actor=booked.instructor))
        await booked.until_ended()
        await booked.handle.signal(BookingWorkflow.complete_signal, Complete(actor=booked.instructor))
    except CheckoutClosed:
        return
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("plan", "activity"), [*((HOLD, each) for each in _ACTIVITIES), *_OF_A_CHARGE])
async def test_cancelling_around_an_activity_returns_the_money(saga: Saga, activity: str, when: When) -> None:
    order = await saga.order()
    handle = saga.handle(order.terms.booking_id)
    saga.faults.plan(when, activity, handle.cancel)
    try:
        booked = await saga.start(order)
    except WorkflowUpdateFailedError:
        booked = None
    if booked:
        await _play_on(booked)
    await saga.until_over(handle)
    assert saga.faults.all_taken
    request = await saga.request(order.terms.booking_id)
    if activity == "record_ending":
        # The end was already being recorded, so it was too late to cancel.
        assert request is not None
        assert request.status is BookingStatus.COMPLETED
        return
    assert request is None or request.status is BookingStatus.CANCELLED
    if booked:
        # Stripe keeps its fee of a charge that was captured and refunded.
        assert replace(await booked.figures(), stripe_fee_minor=0) == Figures()
        payment_intent = await booked.payment_intent()
        assert payment_intent is None or payment_intent.status in ("canceled", "succeeded")
        with pytest.raises(CheckoutClosed):
            await pay(booked.checkout_url)


async def test_cancelled_while_waiting_for_the_payment(saga: Saga) -> None:
    booked = await saga.booked()
    await booked.handle.cancel()
    with pytest.raises(WorkflowFailureError):
        await booked.result()
    request = await booked.request()
    assert request is not None
    assert request.status is BookingStatus.CANCELLED
    assert await booked.payment() is None


@both_plans
async def test_cancelled_while_waiting_for_the_approval(saga: Saga) -> None:
    booked = await saga.paid()
    await booked.handle.cancel()
    await _assert_cancelled_in_full(booked)


@both_plans
async def test_cancelled_while_waiting_for_the_session(saga: Saga) -> None:
    booked = await saga.paid()
    await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))
    await saga.env.sleep(timedelta(days=3, minutes=10))
    await booked.handle.cancel()
    await _assert_cancelled_in_full(booked)


@both_plans
async def test_cancelled_while_waiting_for_an_operator(saga: Saga) -> None:
    booked = await saga.paid()
    await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))
    await booked.until_ended()
    saga.faults.fail("before", "settle_payment", Declined("test"))
    view = await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert view.needs_attention
    await booked.handle.cancel()
    await _assert_cancelled_in_full(booked)


async def _assert_cancelled_in_full(booked: Booked) -> None:
    with pytest.raises(WorkflowFailureError):
        await booked.result()
    request, payment = await booked.request(), await booked.payment()
    assert request is not None
    assert payment is not None
    assert (request.status, payment.status) == (BookingStatus.CANCELLED, PaymentStatus.REFUNDED)
    assert not request.needs_attention
    assert await booked.figures() == booked.saga.under_plan(Figures())
