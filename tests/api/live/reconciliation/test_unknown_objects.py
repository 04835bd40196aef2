"""Events of objects that Stripe does not know: looked up once, recorded, and not brought back by a reconciliation."""

import asyncio
from uuid import uuid4

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle

from models.domain.ids import dispute_workflow_id, external_refund_id, payout_workflow_id, refund_workflow_id
from models.domain.stripe_events import RoutingResult
from models.tables.stripe_events import StripeEventRecord
from tests.api.live.reconciliation.steps import settled
from tests.api.live.reconciliation.stripe_side import StripeSide
from tests.api.stripe_events import account_event, event, send, send_connect
from tests.api.world import JSON

pytestmark = pytest.mark.usefixtures("worker")


@pytest.mark.parametrize("kind", ["dispute", "refund", "payout"])
async def test_an_unknown_object_is_looked_up_once_and_stays_dropped(
    stripe_side: StripeSide, temporal: Client, kind: str
) -> None:
    booking_id = await settled(stripe_side)
    await stripe_side.deliver()
    received, workflow_id = await _event_of_unknown(stripe_side, kind, booking_id)
    deliver = send_connect if kind == "payout" else send
    assert (await deliver(stripe_side.client, received)).status_code == 200
    handle = temporal.get_workflow_handle(workflow_id)
    assert await handle.result() is None
    async with AsyncSession(stripe_side.world.engine) as session:
        recorded = {row.id: row.routing_result for row in await session.exec(select(StripeEventRecord))}
    assert recorded[received["id"]] is RoutingResult.ROUTED

    first = await handle.describe()
    run = await stripe_side.reconcile()
    await asyncio.sleep(0.5)
    last = await handle.describe()
    assert run["drifts"] == 0
    assert (last.run_id, last.status) == (first.run_id, WorkflowExecutionStatus.COMPLETED)
    assert await _look_ups(handle) == 1


async def _event_of_unknown(stripe_side: StripeSide, kind: str, booking_id: str) -> tuple[JSON, str]:
    match kind:
        case "dispute":
            id = f"du_{uuid4().hex}"
            received = event("charge.dispute.created") | {"data": {"object": {"id": id, "object": "dispute"}}}
            return received, dispute_workflow_id(id)
        case "refund":
            id, intent = f"re_{uuid4().hex}", await stripe_side.intent(booking_id)
            refund = {"id": id, "object": "refund", "payment_intent": intent.id, "metadata": {}}
            received = event("refund.created") | {"data": {"object": refund}}
            return received, refund_workflow_id(external_refund_id(id))
    id = f"po_{uuid4().hex}"
    received = account_event(stripe_side.account_id, "payout.paid") | {
        "data": {"object": {"id": id, "object": "payout"}}
    }
    return received, payout_workflow_id(id)


async def _look_ups(handle: WorkflowHandle[object, object]) -> int:
    scheduled = [event.activity_task_scheduled_event_attributes for event in (await handle.fetch_history()).events]
    return sum(each.activity_type.name in _LOOK_UPS for each in scheduled)


_LOOK_UPS = {"look_up_dispute", "look_up_payout", "look_up_refund", "adopt_refund"}
