"""An operator's decisions, and steps that fail for good and wait for one."""

from datetime import timedelta
from uuid import UUID

import pytest
from temporalio.client import WorkflowUpdateFailedError

from models.domain.actors import Actor, Role
from models.domain.endings import EndReason
from models.domain.errors import Declined
from models.domain.messages import Cancel, Complete, Release, Retry, Settle, SettleAndRefund
from models.domain.money import Money
from models.domain.states import BookingStatus, PaymentStatus
from sandbox.demo.figures import Figures
from tests.workflows.saga import Booked, Saga, both_plans
from workflows.booking.workflow import BookingWorkflow

pytestmark = both_plans

OPERATOR = Actor(role=Role.OPERATOR, id=UUID(int=3))
ALL = Figures(10_000, 8_000, 2_000, 320)
REFUND = SettleAndRefund(actor=OPERATOR, amount=Money(amount_minor=3_000, currency="usd"), has_reason=True)


async def _parked(saga: Saga, times: int = 1) -> Booked:
    """A completed session whose capture or transfer Stripe declines."""
    booked = await saga.accepted()
    await booked.until_ended()
    saga.faults.fail("before", saga.call("gateway.capture"), Declined("test_reason"), times)
    view = await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert view.needs_attention
    return booked


async def test_operator_settles_an_accepted_booking(saga: Saga) -> None:
    booked = await saga.accepted()
    with pytest.raises(WorkflowUpdateFailedError):
        await booked.handle.execute_update(BookingWorkflow.settle, Settle(actor=OPERATOR))
    view = await booked.handle.execute_update(BookingWorkflow.settle, Settle(actor=OPERATOR, has_reason=True))
    assert (view.booking_status, view.end_reason) == (BookingStatus.COMPLETED, EndReason.SETTLED_BY_OPERATOR)
    assert await booked.figures() == ALL


async def test_operator_releases_a_booking_at_any_open_stage(saga: Saga) -> None:
    for booked, is_paid in ((await saga.booked(), False), (await saga.paid(), True), (await saga.accepted(), True)):
        view = await booked.handle.execute_update(BookingWorkflow.release, Release(actor=OPERATOR))
        assert (view.booking_status, view.end_reason) == (BookingStatus.CANCELLED, EndReason.RELEASED_BY_OPERATOR)
        assert await booked.figures() == (saga.under_plan(Figures()) if is_paid else Figures())


@pytest.mark.parametrize(("begun", "status"), [(False, BookingStatus.CANCELLED), (True, BookingStatus.COMPLETED)])
async def test_operator_refunds_a_part(saga: Saga, begun: bool, status: BookingStatus) -> None:
    booked = await saga.accepted()
    if begun:
        await booked.until_ended()
    view = await booked.handle.execute_update(BookingWorkflow.refund, REFUND)
    assert (view.booking_status, view.payment_status) == (status, PaymentStatus.PARTIALLY_REFUNDED)
    figures = await booked.figures()
    assert (figures.student_paid_minor, figures.instructor_received_minor, figures.platform_kept_minor) == (
        7_000,
        5_600,
        1_400,
    )


async def test_declined_settlement_parks_the_booking_with_the_reason(saga: Saga) -> None:
    booked = await _parked(saga)
    request = await booked.request()
    assert request is not None
    assert request.needs_attention
    assert "test_reason" in (request.attention_reason or "")
    await saga.env.sleep(timedelta(days=30))
    assert (await booked.request()) == request
    with pytest.raises(WorkflowUpdateFailedError):
        await booked.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=booked.instructor))


async def test_operator_retries_the_failed_step(saga: Saga) -> None:
    booked = await _parked(saga, times=2)
    view = await booked.handle.execute_update(BookingWorkflow.retry, Retry(actor=OPERATOR))
    assert view.needs_attention
    view = await booked.handle.execute_update(BookingWorkflow.retry, Retry(actor=OPERATOR))
    assert (view.booking_status, view.needs_attention) == (BookingStatus.COMPLETED, False)
    assert await booked.figures() == ALL
    request = await booked.request()
    assert request is not None
    assert not request.needs_attention


async def test_operator_releases_a_parked_booking(saga: Saga) -> None:
    booked = await _parked(saga)
    view = await booked.handle.execute_update(BookingWorkflow.release, Release(actor=OPERATOR))
    assert (view.booking_status, view.payment_status) == (BookingStatus.CANCELLED, PaymentStatus.REFUNDED)
    assert await booked.figures() == saga.under_plan(Figures())


async def test_parked_release_cannot_be_settled_before_the_approval(saga: Saga) -> None:
    booked = await saga.paid()
    saga.faults.fail("before", saga.call("gateway.cancel"), Declined("test"), times=1)
    view = await booked.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=booked.student))
    assert view.needs_attention
    with pytest.raises(WorkflowUpdateFailedError):
        await booked.handle.execute_update(BookingWorkflow.settle, Settle(actor=OPERATOR))
    view = await booked.handle.execute_update(BookingWorkflow.retry, Retry(actor=OPERATOR))
    assert (view.booking_status, view.payment_status) == (BookingStatus.CANCELLED, PaymentStatus.REFUNDED)
