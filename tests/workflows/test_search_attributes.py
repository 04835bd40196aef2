"""What an operator sees of a booking in Temporal's UI: search attributes and the current details."""

from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import ResetReapplyType
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import WorkflowUpdateFailedError
from temporalio.common import TypedSearchAttributes

from models.domain.errors import Declined
from models.domain.messages import Approve, Complete
from models.domain.policy import BookingPolicy, Deadlines
from models.domain.states import BookingStatus, PaymentStatus
from sandbox.browser.checkout_page import POOR_CARD
from tests.workflows.booking import endings
from tests.workflows.resets import current_run, reset, result_of, tasks_of
from tests.workflows.saga import Booked, Saga
from workflows import search_attributes
from workflows.booking.workflow import BookingWorkflow


async def _attributes(booked: Booked) -> TypedSearchAttributes:
    return (await booked.handle.describe()).typed_search_attributes


async def _details(booked: Booked) -> str:
    metadata: WorkflowMetadata = await booked.handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return metadata.current_details


async def test_booking_has_the_search_attributes_that_operators_use(saga: Saga) -> None:
    booked = await saga.booked()
    terms, attributes = booked.order.terms, await _attributes(booked)
    assert attributes[search_attributes.BOOKING_STATUS] == BookingStatus.PENDING
    assert attributes[search_attributes.STUDENT_ID] == str(terms.student_id)
    assert attributes[search_attributes.INSTRUCTOR_ID] == str(terms.instructor_id)
    assert attributes[search_attributes.CURRENCY] == "usd"
    assert attributes[search_attributes.AMOUNT_MINOR] == 10_000
    assert attributes[search_attributes.SESSION_START] == terms.starts_at
    assert attributes[search_attributes.NEXT_DEADLINE] == booked.order.checkout_deadline_at
    assert attributes[search_attributes.NEEDS_ATTENTION] is False
    assert "the student's payment" in await _details(booked)


async def test_search_attributes_follow_the_booking(saga: Saga) -> None:
    booked = await saga.paid()
    request, attributes = await booked.request(), await _attributes(booked)
    assert request is not None
    assert attributes[search_attributes.PAYMENT_STATUS] == PaymentStatus.PENDING
    assert attributes[search_attributes.NEXT_DEADLINE] == request.next_deadline_at
    assert "the instructor's decision" in await _details(booked)
    await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))
    attributes = await _attributes(booked)
    assert attributes[search_attributes.BOOKING_STATUS] == BookingStatus.ACCEPTED
    assert attributes[search_attributes.NEXT_DEADLINE] == booked.order.terms.ends_at + timedelta(days=1)
    assert "word that the session took place" in await _details(booked)


async def test_deadline_that_a_declined_card_brings_forward_can_be_searched(saga: Saga) -> None:
    booked = await saga.booked(policy=BookingPolicy(deadlines=Deadlines(decline_grace=timedelta(minutes=3))))
    await booked.pay(POOR_CARD)
    declined_at = await saga.env.get_current_time()
    await saga.env.sleep(2)
    deadline = (await _attributes(booked))[search_attributes.NEXT_DEADLINE]
    assert timedelta(minutes=2) < deadline - declined_at < timedelta(minutes=4)
    assert f"{deadline:%Y-%m-%d %H:%M:%S} UTC" in await _details(booked)


async def test_parked_booking_shows_what_it_needs(saga: Saga) -> None:
    booked = await saga.paid()
    await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))
    await booked.until_ended()
    saga.faults.fail("before", "gateway.capture", Declined("charge_expired_for_capture"))
    await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    metadata = await _details(booked)
    assert "an operator's decision: " in metadata
    assert "charge_expired_for_capture" in metadata
    info = await saga.execution(booked.handle)
    assert info.search_attributes.indexed_fields["NeedsAttention"].data == b"true"


async def test_deleted_booking_shows_no_status_also_after_a_reset(live_saga: Saga) -> None:
    handle = await endings.card_declined(live_saga)
    await handle.result()
    run_id = await current_run(live_saga, handle.id)
    first, *_ = await tasks_of(live_saga, handle.id, run_id)
    await reset(live_saga, handle.id, run_id, first, ResetReapplyType.RESET_REAPPLY_TYPE_ALL_ELIGIBLE)
    await result_of(live_saga, handle.id)
    attributes = (await handle.describe()).typed_search_attributes
    assert attributes.get(search_attributes.BOOKING_STATUS) is None


async def test_booking_that_never_got_its_slot_shows_no_status(live_saga: Saga) -> None:
    order = await live_saga.order()
    await live_saga.start(order)
    second = order.model_copy(update={"terms": order.terms.model_copy(update={"booking_id": uuid4()})})
    with pytest.raises(WorkflowUpdateFailedError):
        await live_saga.start(second)
    handle = live_saga.handle(second.terms.booking_id)
    await handle.result()
    assert (await handle.describe()).typed_search_attributes.get(search_attributes.BOOKING_STATUS) is None
