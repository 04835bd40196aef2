"""`NeedsAttention = true` finds, in Temporal, every booking whose record needs attention, and no other."""

import asyncio
from uuid import UUID

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowExecution

from models.domain.errors import Declined
from models.domain.ids import attention_workflow_id, refund_workflow_id, workflow_id
from models.tables.bookings import BookingRequest
from tests.api.live.journey import decide, order
from tests.api.live.reconciliation.steps import change, held, settled, sweep, terminate, until
from tests.api.live.reconciliation.stripe_side import StripeSide
from tests.api.live.workers import FailingGateway, Workers
from tests.api.world import PUBLIC_URL
from workflows import search_attributes

# The Stripe SDK's own use of httpx.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


async def found(workers: Workers, temporal: Client, *expected: str) -> list[WorkflowExecution]:
    """What the search finds, once it is what is expected: Temporal's list lags behind a little."""
    query = f"TaskQueue = '{workers.task_queue}' AND NeedsAttention = true AND ExecutionStatus = 'Running'"
    async with asyncio.timeout(10):
        while True:
            executions = [each async for each in temporal.list_workflows(query)]
            if sorted(each.id for each in executions) == sorted(expected):
                return executions
            await asyncio.sleep(0.1)


async def details(temporal: Client, id: str) -> str:
    handle = temporal.get_workflow_handle(id)
    metadata: WorkflowMetadata = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return metadata.current_details


@pytest.mark.usefixtures("worker")
async def test_ended_booking_is_found_for_as_long_as_it_needs_attention(
    stripe_side: StripeSide, temporal: Client, workers: Workers
) -> None:
    booking_id, operator = await settled(stripe_side), stripe_side.world.operator
    id = attention_workflow_id(UUID(booking_id))
    await sweep(workers)
    await found(workers, temporal)
    refund = {"amount_minor": 2_500, "reason": "The lesson was cut short."}
    assert (await order(stripe_side.client, operator, booking_id, "refund", refund)).is_success
    intent = await stripe_side.intent(booking_id)
    [made] = (await stripe_side.stripe.v1.refunds.list_async({"payment_intent": intent.id})).data
    await stripe_side.order(f"/refunds/{made.id}/fail", {"failure_reason": "lost_or_stolen_card"})
    await stripe_side.deliver()
    seen = await until(stripe_side, booking_id, lambda shown: shown["needs_attention"])
    text = await details(temporal, refund_workflow_id(UUID(seen["refunds"][0]["id"])))
    assert workflow_id(UUID(booking_id)) in text
    assert "25.00 USD, FAILED" in text

    await sweep(workers)
    [shown] = await found(workers, temporal, id)
    assert shown.typed_search_attributes[search_attributes.STUDENT_ID] == str(stripe_side.world.student.id)
    assert shown.typed_search_attributes[search_attributes.BOOKING_STATUS] == "COMPLETED"
    text = await details(temporal, id)
    assert "the student is owed 25.00 USD" in text
    assert f"/test/payments/{intent.id}" in text
    assert f"[its page]({PUBLIC_URL}/operator/bookings/{booking_id})" in text

    # Looking again changes nothing, and somebody else's end of it does not last.
    length = (await temporal.get_workflow_handle(id).describe()).history_length
    await sweep(workers)
    assert (await temporal.get_workflow_handle(id).describe()).history_length == length
    await terminate(temporal, id)
    await sweep(workers)
    await found(workers, temporal, id)

    assert (await order(stripe_side.client, operator, booking_id, "retry")).status_code == 200
    await sweep(workers)
    await temporal.get_workflow_handle(id).result()
    await found(workers, temporal)
    assert (await temporal.get_workflow_handle(id).describe()).typed_search_attributes[
        search_attributes.NEEDS_ATTENTION
    ] is False


async def test_parked_booking_is_found_once_and_an_open_one_by_its_latest_reason(
    stripe_side: StripeSide, temporal: Client, workers: Workers
) -> None:
    async with workers.at_work(FailingGateway(workers.stripe, Declined("resource_missing"))):
        parked, drifting = await held(stripe_side), await held(stripe_side)
        await decide(stripe_side.client, stripe_side.world.instructor, parked, "reject", {"reason": "I am away."})
        id = attention_workflow_id(UUID(drifting))
        for reason in ("it drifts", "it | drifts more"):
            await change(stripe_side, BookingRequest, drifting, needs_attention=True, attention_reason=reason)
            await sweep(workers)
            await found(workers, temporal, workflow_id(UUID(parked)), id)
            assert f"| **Needs attention** | {reason.replace('|', chr(92) + '|')} |" in await details(temporal, id)
        await change(stripe_side, BookingRequest, drifting, needs_attention=False, attention_reason=None)
        await sweep(workers)
        await found(workers, temporal, workflow_id(UUID(parked)))
