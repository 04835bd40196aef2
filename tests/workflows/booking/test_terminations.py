"""A booking that is terminated before or after any of its activities: the next reconciliation ends it as recorded."""

import asyncio
from uuid import uuid4

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode

from models.domain.messages import Settle
from models.domain.policy import PaymentPlan
from models.domain.reconciliation import ReconciliationOrder
from models.domain.states import BookingStatus, PaymentStatus
from sandbox.browser.checkout_page import pay
from tests.workflows.booking.endings import OPERATOR
from tests.workflows.faults import When
from tests.workflows.saga import Booked, Saga
from workflows.reconciliation import ReconciliationWorkflow

pytestmark = [
    pytest.mark.timeout(300),
    # The SDK's, when a workflow is evicted while its local activity ends.
    pytest.mark.filterwarnings("ignore:Cannot find activity to cancel:UserWarning"),
]

# In the order in which a settled booking calls them.
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


async def _play(saga: Saga, when: When, activity: str) -> Booked | None:
    """Play a booking, which is terminated on the way. `None` if that is before it can be paid."""
    order = await saga.order()
    handle = saga.handle(order.terms.booking_id)

    async def terminate() -> None:
        await handle.terminate()
        # What a worker does meanwhile reaches Temporal too late.
        await asyncio.sleep(0.1)

    saga.faults.plan(when, activity, terminate)
    booked = None
    try:
        booked = await saga.start(order)
        await pay(booked.checkout_url)
        await booked.notify()
        await _until_authorized(booked)
        await booked.approve()
        await handle.execute_update("settle", Settle(actor=OPERATOR, has_reason=True))
    except WorkflowUpdateFailedError:
        pass
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
    return booked


async def _until_authorized(booked: Booked) -> None:
    """Or until the workflow has been terminated."""
    for _ in range(300):
        if await booked.payment() or (await booked.handle.describe()).close_time:
            return
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("plan", "activities"),
    [(PaymentPlan.HOLD, _ACTIVITIES), (PaymentPlan.CHARGE_THEN_TRANSFER, _ACTIVITIES[3:])],
)
async def test_a_terminated_booking_is_ended_by_the_next_reconciliation(
    live_saga: Saga, activities: tuple[str, ...], when: When
) -> None:
    """Before the payment, both plans are the same."""
    saga = live_saga
    bookings = {activity: await _play(saga, when, activity) for activity in activities}
    assert saga.faults.all_taken
    client = saga.env.client
    await client.execute_workflow(
        ReconciliationWorkflow.run, ReconciliationOrder(), id=f"reconciliation-{uuid4()}", task_queue=saga.queue
    )
    for activity, booked in bookings.items():
        if booked is None:
            continue
        request, payment, intent = await booked.request(), await booked.payment(), await booked.payment_intent()
        # An activity that has begun goes on when its workflow is terminated.
        is_kept = activity in ("settle_payment", "record_ending")
        status = request.status if request else None
        assert status in ((BookingStatus.COMPLETED,) if is_kept else (BookingStatus.CANCELLED, None)), activity
        figures = await booked.figures()
        assert figures.student_paid_minor == (10_000 if is_kept else 0), activity
        assert intent is None or intent.status in ("succeeded", "canceled"), activity
        if payment is not None and request is not None:
            assert payment.status is (PaymentStatus.CAPTURED if is_kept else PaymentStatus.REFUNDED), activity
