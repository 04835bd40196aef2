"""Lost responses: what Stripe did is looked up and happens once; what it did not do is retried."""

from datetime import timedelta

import pytest
import stripe
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from models.domain.errors import Declined, ReplayedFailure, Retryable, Unknown
from models.domain.messages import Approve, Cancel, Complete, Refusal, Reject
from models.domain.states import BookingStatus, PaymentStatus
from sandbox.browser.checkout_page import pay
from sandbox.demo.figures import Figures
from tests.workflows.saga import Booked, Saga, both_plans
from workflows.booking.workflow import BookingWorkflow

pytestmark = both_plans

ALL = Figures(10_000, 8_000, 2_000, 320)
LOST = Unknown("the response was lost")


async def _completed(booked: Booked) -> None:
    await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))
    await booked.until_ended()
    view = await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert view.payment_status is PaymentStatus.CAPTURED


async def _sessions_of(booked: Booked) -> list[stripe.checkout.Session]:
    stripe_api = booked.saga.stripe.v1
    sessions = await stripe_api.checkout.sessions.list_async({"customer": booked.checkout.customer_id})
    return sessions.data


@pytest.mark.parametrize("call", ["gateway.create_customer", "gateway.open_checkout", "secure_payment"])
async def test_lost_response_while_securing_makes_one_customer_and_one_checkout(saga: Saga, call: str) -> None:
    saga.faults.fail("after", call, LOST)
    booked = await saga.booked()
    assert saga.faults.all_taken
    assert len(await _sessions_of(booked)) == 1
    student = str(booked.order.terms.student_id)
    customers = await saga.stripe.v1.customers.list_async({"limit": 100})
    assert len([c for c in customers.data if c.metadata and c.metadata.to_dict().get("student_id") == student]) == 1


@pytest.mark.parametrize("call", ["gateway.capture", "settle_payment"])
async def test_lost_response_to_a_settlement_settles_once(saga: Saga, call: str) -> None:
    saga.faults.fail("after", saga.call(call), LOST)
    booked = await saga.paid()
    await _completed(booked)
    assert saga.faults.all_taken
    assert saga.faults.calls.count(saga.call("capture")) == 1
    assert await booked.figures() == ALL


@pytest.mark.parametrize("call", ["gateway.cancel", "release_payment"])
async def test_lost_response_to_a_release_releases_once(saga: Saga, call: str) -> None:
    saga.faults.fail("after", saga.call(call), LOST)
    booked = await saga.paid()
    view = await booked.handle.execute_update(BookingWorkflow.reject, Reject(actor=booked.instructor))
    assert view.payment_status is PaymentStatus.REFUNDED
    assert saga.faults.all_taken
    assert saga.faults.calls.count(saga.call("cancel")) == 1
    assert await booked.figures() == saga.under_plan(Figures())


async def test_lost_response_to_an_expiry_expires_once(saga: Saga) -> None:
    saga.faults.fail("after", "gateway.expire_checkout", LOST)
    booked = await saga.booked()
    view = await booked.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=booked.student))
    assert view.booking_status is BookingStatus.CANCELLED
    assert saga.faults.calls.count("expire_checkout") == 1


async def test_lost_response_to_a_refund_refunds_once(saga: Saga) -> None:
    """The workflow is cancelled during the settlement, which is then refunded."""
    booked = await saga.paid()
    saga.faults.plan("before", saga.call("gateway.capture"), booked.handle.cancel)
    saga.faults.fail("after", saga.call("gateway.refund"), LOST)
    await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))
    await booked.until_ended()
    await booked.handle.signal(BookingWorkflow.complete_signal, Complete(actor=booked.instructor))
    await saga.until_over(booked.handle)
    assert saga.faults.all_taken
    payment_intent = await booked.payment_intent()
    assert payment_intent is not None
    refunds = await saga.stripe.v1.refunds.list_async({"payment_intent": payment_intent.id})
    assert [refund.amount for refund in refunds.data] == [10_000]
    figures = await booked.figures()
    assert (figures.student_paid_minor, figures.instructor_received_minor, figures.platform_kept_minor) == (0, 0, 0)


@pytest.mark.parametrize("error", [Unknown("never arrived"), Retryable("rate limited"), ReplayedFailure("stored")])
@pytest.mark.parametrize("call", ["gateway.create_customer", "gateway.open_checkout", "gateway.capture"])
async def test_failed_call_is_retried_until_it_succeeds(saga: Saga, call: str, error: Exception) -> None:
    saga.faults.fail("before", saga.call(call), error, times=3)
    booked = await saga.paid()
    await _completed(booked)
    assert saga.faults.all_taken
    assert await booked.figures() == ALL


async def test_card_does_not_count_as_declined_while_stripe_does_not_answer(saga: Saga) -> None:
    booked = await saga.booked()
    saga.faults.fail("before", "gateway.look_up", Unknown("no answer"), times=4)
    assert await pay(booked.checkout_url)
    await booked.notify()
    await saga.until_stored(booked, PaymentStatus.PENDING)


async def test_declined_checkout_frees_the_slot(saga: Saga) -> None:
    saga.faults.fail("before", "gateway.open_checkout", Declined("account_invalid"))
    order = await saga.order()
    with pytest.raises(WorkflowUpdateFailedError) as failure:
        await saga.start(order)
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == Refusal.CHECKOUT_REFUSED
    await saga.until_over(saga.handle(order.terms.booking_id))
    assert await saga.request(order.terms.booking_id) is None


async def test_settlement_succeeds_after_hours_without_stripe(saga: Saga) -> None:
    booked = await saga.paid()
    await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))
    await booked.until_ended()
    saga.faults.has_backoff = True
    saga.faults.fail("before", saga.call("gateway.capture"), Unknown("connection refused"), times=100)
    await booked.handle.signal(BookingWorkflow.complete_signal, Complete(actor=booked.instructor))
    await saga.env.sleep(timedelta(hours=3))
    await saga.until_over(booked.handle)
    assert saga.faults.all_taken
    assert await booked.figures() == ALL
