"""What was terminated in Temporal goes on, or has ended, within a minute and without a decision."""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest
from temporalio.client import Client

from models.domain.errors import Declined
from models.domain.ids import ordered_reconciliation_id, payout_workflow_id, workflow_id
from models.domain.payouts import PayoutOrder
from models.domain.reconciliation import SweepReport
from tests.api.live.reconciliation.steps import approved, held, listed, shown, sweep, terminate
from tests.api.live.reconciliation.stripe_side import StripeSide
from tests.api.live.workers import FailingGateway, Workers
from workflows.payouts import PayoutWorkflow

# The Stripe SDK's own use of httpx.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.mark.parametrize("begin", [held, approved])
@pytest.mark.usefixtures("worker")
async def test_terminated_booking_is_ended_without_a_decision(
    stripe_side: StripeSide, temporal: Client, workers: Workers, begin: Callable[[StripeSide], Awaitable[str]]
) -> None:
    booking_id, other = await begin(stripe_side), await begin(stripe_side)
    await terminate(temporal, workflow_id(UUID(booking_id)))
    assert await sweep(workers) == SweepReport(ended=1, stuck=0, restarted=0)
    answer = await stripe_side.client.get("/v1/bookings", headers=stripe_side.world.student.headers)
    seen = {each["id"]: each for each in answer.json()["data"]}
    assert (seen[booking_id]["status"], seen[booking_id]["payment"]["status"]) == ("CANCELLED", "REFUNDED")
    assert seen[other]["status"] != "CANCELLED"
    assert seen[booking_id] == (await shown(stripe_side, booking_id, stripe_side.world.student)).json()
    assert (await stripe_side.intent(booking_id)).status == "canceled"
    assert await sweep(workers) == SweepReport(ended=0, stuck=0, restarted=0)
    run = await stripe_side.reconcile()
    assert (run["holds_released"], run["drifts"]) == (0, 0)


@pytest.mark.parametrize("end", ["terminate", "cancel"])
async def test_other_workflow_that_was_ended_is_restarted_once(temporal: Client, workers: Workers, end: str) -> None:
    id, order = payout_workflow_id(f"po_{uuid4().hex}"), PayoutOrder(payout_id="po_of_nobody", account_id="acct_1")
    await temporal.start_workflow(PayoutWorkflow.run, order, id=id, task_queue=workers.task_queue)
    if end == "cancel":
        await temporal.get_workflow_handle(id).cancel()
    else:
        await terminate(temporal, id)
    async with workers.at_work():
        if end == "cancel":
            await listed(temporal, id, "Canceled")
        assert await sweep(workers) == SweepReport(ended=0, stuck=0, restarted=1)
        assert await temporal.get_workflow_handle(id).result() is None
        assert await sweep(workers) == SweepReport(ended=0, stuck=0, restarted=0)


async def test_booking_that_cannot_be_ended_needs_attention_and_is_left_to_the_reconciliation(
    stripe_side: StripeSide, temporal: Client, workers: Workers
) -> None:
    async with workers.at_work(FailingGateway(workers.stripe, Declined("charge_disputed"))):
        booking_id = await held(stripe_side)
        await terminate(temporal, workflow_id(UUID(booking_id)))
        assert await sweep(workers) == SweepReport(ended=0, stuck=1, restarted=0)
        await temporal.get_workflow_handle(ordered_reconciliation_id(workers.task_queue)).result()
        seen = (await shown(stripe_side, booking_id)).json()
        assert seen["needs_attention"]
        assert "charge_disputed" in seen["attention_reason"]
        assert await sweep(workers) == SweepReport(ended=0, stuck=0, restarted=0)
