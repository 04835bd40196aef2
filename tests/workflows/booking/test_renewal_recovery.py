"""A booking whose student is asked to pay again, and whose workflow is reset or terminated meanwhile.

The sandbox is the test's own: its holds on cards are short.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import ResetReapplyType

from models.domain.messages import Cancel
from models.domain.reconciliation import ReconciliationOrder
from models.domain.states import BookingStatus, PaymentStatus
from sandbox.browser.checkout_page import CheckoutClosed, pay
from sandbox.demo.figures import Figures
from tests.conftest import StripeSandbox
from tests.own_stripe import own_sandbox
from tests.workflows.booking.renewal_steps import (
    assert_ledger_is_stripes,
    end_hold,
    intents_of,
    renewal_of,
    total,
    until_asked,
    with_short_hold,
)
from tests.workflows.resets import current_run, reset, tasks_of
from tests.workflows.saga import Booked, Saga
from workflows.reconciliation import ReconciliationWorkflow

pytestmark = [
    pytest.mark.timeout(300),
    # The SDK's, when a workflow is evicted while its local activity ends.
    pytest.mark.filterwarnings("ignore:Cannot find activity to cancel:UserWarning"),
]
EVERYTHING = ResetReapplyType.RESET_REAPPLY_TYPE_ALL_ELIGIBLE
NOTHING = ResetReapplyType.RESET_REAPPLY_TYPE_NONE


@pytest.fixture
async def stripe_sandbox() -> AsyncIterator[StripeSandbox]:
    async with own_sandbox() as sandbox:
        yield sandbox


async def too_short(saga: Saga) -> Booked:
    return await with_short_hold(saga)


async def lapsed(saga: Saga) -> Booked:
    booked = await saga.accepted()
    await end_hold(booked)
    await booked.notify()
    return booked


async def _walk(saga: Saga, booked: Booked) -> None:
    """Reset the booking to each of its tasks."""
    run_id = await current_run(saga, booked.handle.id)
    for task in await tasks_of(saga, booked.handle.id, run_id):
        for reapply in (EVERYTHING, NOTHING):
            await reset(saga, booked.handle.id, run_id, task, reapply)
            await _until_idle(booked)


async def _until_idle(booked: Booked) -> None:
    for _ in range(300):
        description = (await booked.handle.describe()).raw_description
        if not description.pending_activities and not description.HasField("pending_workflow_task"):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{booked.handle.id} is still at work")


@pytest.mark.parametrize("begin", [too_short, lapsed])
async def test_a_reset_while_the_student_is_asked_to_pay_again_goes_on_with_the_same_page(
    live_saga: Saga, begin: Callable[[Saga], Awaitable[Booked]]
) -> None:
    saga = live_saga
    booked = await begin(saga)
    asked = await until_asked(booked)
    await _walk(saga, booked)
    row = await renewal_of(booked)
    assert row is not None
    assert (row.page, row.checkout_session_id, row.closed_at) == (1, asked.checkout_session_id, None)
    assert await pay(asked.checkout_url or "")
    await booked.notify()
    await saga.until_audited(booked, "booking.payment_renewed")
    # Once more, now that it is paid: nothing is asked for again.
    await _walk(saga, booked)
    assert [each.status for each in await intents_of(booked)] == ["canceled", "succeeded"]
    view = await booked.handle.execute_update("cancel", Cancel(actor=booked.instructor))
    assert view["payment_status"] == PaymentStatus.REFUNDED
    assert await total(booked) == Figures(0, 0, 0, 320)
    await assert_ledger_is_stripes(saga)


@pytest.mark.parametrize("is_paid", [False, True], ids=["unpaid", "paid"])
async def test_a_booking_that_is_terminated_while_its_student_is_asked_to_pay_again_returns_everything(
    live_saga: Saga, is_paid: bool
) -> None:
    saga = live_saga
    booked = await with_short_hold(saga)
    asked = await until_asked(booked)
    await booked.handle.terminate()
    if is_paid:
        assert await pay(asked.checkout_url or "")
    await saga.env.client.execute_workflow(
        ReconciliationWorkflow.run, ReconciliationOrder(), id=f"reconciliation-{uuid4()}", task_queue=saga.queue
    )
    request, payment = await booked.request(), await booked.payment()
    assert request is not None
    assert payment is not None
    assert (request.status, payment.status) == (BookingStatus.CANCELLED, PaymentStatus.REFUNDED)
    with pytest.raises(CheckoutClosed):
        await pay(asked.checkout_url or "")
    assert await total(booked) == (Figures(0, 0, 0, 320) if is_paid else Figures())
    await assert_ledger_is_stripes(saga)
