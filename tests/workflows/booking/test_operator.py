"""What an operator can do with a booking, and how a step that fails for good waits for one."""

from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError

from models.domain.actors import Actor, Role
from models.domain.endings import EndReason
from models.domain.errors import Declined
from models.domain.messages import Approve, Cancel, Complete, Release, Retry, Settle, SettleAndRefund
from models.domain.money import Money
from models.domain.states import BookingStatus, PaymentStatus
from sandbox.demo.figures import Figures
from tests.workflows.saga import Booked, Saga
from workflows.booking.workflow import BookingWorkflow

OPERATOR = Actor(role=Role.OPERATOR)
ALL = Figures(10_000, 8_000, 2_000, 320)
REFUND = SettleAndRefund(actor=OPERATOR, amount=Money(amount_minor=3_000, currency="usd"))


async def _accepted(saga: Saga) -> Booked:
    booked = await saga.paid()
    await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))
    return booked


async def _parked(saga: Saga, times: int = 1) -> Booked:
    """A completed session whose capture Stripe declines."""
    booked = await _accepted(saga)
    await booked.until_begun()
    saga.faults.fail("before", "gateway.capture", Declined("charge_expired_for_capture"), times)
    view = await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert view.needs_attention
    return booked


async def test_an_operator_settles_an_accepted_booking(saga: Saga) -> None:
    booked = await _accepted(saga)
    view = await booked.handle.execute_update(BookingWorkflow.settle, Settle(actor=OPERATOR))
    assert (view.booking_status, view.end_reason) == (BookingStatus.COMPLETED, EndReason.SETTLED_BY_OPERATOR)
    assert await booked.figures() == ALL


async def test_an_operator_releases_a_booking_at_any_open_stage(saga: Saga) -> None:
    for booked in (await saga.booked(), await saga.paid(), await _accepted(saga)):
        view = await booked.handle.execute_update(BookingWorkflow.release, Release(actor=OPERATOR))
        assert (view.booking_status, view.end_reason) == (BookingStatus.CANCELLED, EndReason.RELEASED_BY_OPERATOR)
        assert await booked.figures() == Figures()


@pytest.mark.parametrize(("begun", "status"), [(False, BookingStatus.CANCELLED), (True, BookingStatus.COMPLETED)])
async def test_an_operator_refunds_a_part(saga: Saga, begun: bool, status: BookingStatus) -> None:
    booked = await _accepted(saga)
    if begun:
        await booked.until_begun()
    view = await booked.handle.execute_update(BookingWorkflow.refund, REFUND)
    assert (view.booking_status, view.payment_status) == (status, PaymentStatus.PARTIALLY_REFUNDED)
    figures = await booked.figures()
    assert (figures.student_paid_minor, figures.instructor_received_minor, figures.platform_kept_minor) == (
        7_000,
        5_600,
        1_400,
    )


async def test_a_capture_that_stripe_declines_parks_the_booking_and_says_why(saga: Saga) -> None:
    booked = await _parked(saga)
    request = await booked.request()
    assert request is not None
    assert request.needs_attention
    assert "charge_expired_for_capture" in (request.attention_reason or "")
    await saga.env.sleep(timedelta(days=30))
    assert (await booked.request()) == request
    with pytest.raises(WorkflowUpdateFailedError):
        await booked.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=booked.instructor))


async def test_an_operator_has_the_failed_step_tried_again(saga: Saga) -> None:
    booked = await _parked(saga, times=2)
    view = await booked.handle.execute_update(BookingWorkflow.retry, Retry(actor=OPERATOR))
    assert view.needs_attention
    view = await booked.handle.execute_update(BookingWorkflow.retry, Retry(actor=OPERATOR))
    assert (view.booking_status, view.needs_attention) == (BookingStatus.COMPLETED, False)
    assert await booked.figures() == ALL
    request = await booked.request()
    assert request is not None
    assert not request.needs_attention


async def test_an_operator_ends_a_parked_booking_in_another_way(saga: Saga) -> None:
    booked = await _parked(saga)
    view = await booked.handle.execute_update(BookingWorkflow.release, Release(actor=OPERATOR))
    assert (view.booking_status, view.payment_status) == (BookingStatus.CANCELLED, PaymentStatus.REFUNDED)
    assert await booked.figures() == Figures()


async def test_a_hold_that_is_gone_parks_the_booking_as_soon_as_stripe_says_so(saga: Saga) -> None:
    booked = await _accepted(saga)
    payment = await booked.payment_intent()
    assert payment is not None
    await saga.stripe.v1.payment_intents.cancel_async(payment.id)
    await booked.hear()
    await saga.until_needs_attention(booked)
    view = await booked.handle.execute_update(BookingWorkflow.retry, Retry(actor=OPERATOR))
    assert view.needs_attention
    view = await booked.handle.execute_update(BookingWorkflow.release, Release(actor=OPERATOR))
    assert (view.booking_status, view.payment_status) == (BookingStatus.CANCELLED, PaymentStatus.REFUNDED)


async def test_a_parked_release_cannot_be_settled_before_the_booking_was_accepted(saga: Saga) -> None:
    booked = await saga.paid()
    saga.faults.fail("before", "gateway.cancel", Declined("test"), times=1)
    view = await booked.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=booked.student))
    assert view.needs_attention
    with pytest.raises(WorkflowUpdateFailedError):
        await booked.handle.execute_update(BookingWorkflow.settle, Settle(actor=OPERATOR))
    view = await booked.handle.execute_update(BookingWorkflow.retry, Retry(actor=OPERATOR))
    assert (view.booking_status, view.payment_status) == (BookingStatus.CANCELLED, PaymentStatus.REFUNDED)
