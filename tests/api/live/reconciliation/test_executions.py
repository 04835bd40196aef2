"""Each open booking's record is compared with its workflow, and workflows that have failed need attention."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from sqlmodel import SQLModel
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from models.domain.errors import Declined
from models.domain.ids import onboarding_workflow_id, refund_workflow_id, workflow_id
from models.domain.states import BookingStatus, PaymentStatus
from models.tables.bookings import BookingRequest
from models.tables.payments import Payment
from tests.api.live.journey import REASON, decide, order
from tests.api.live.reconciliation.steps import approved, change, held, listed, settled, shown, terminate
from tests.api.live.reconciliation.stripe_side import StripeSide
from tests.api.live.workers import FailingGateway, Workers
from tests.api.scraping import scrape

# The Stripe SDK's own use of httpx.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


async def workflow_drifts(stripe_side: StripeSide) -> dict[str, str]:
    """The open ones' details, by booking."""
    drifts = await stripe_side.drifts(open="true")
    return {drift["booking_id"]: drift["detail"] for drift in drifts if drift["kind"] == "workflow"}


async def test_record_and_workflow_that_differ_are_reported_until_they_agree(
    stripe_side: StripeSide, workers: Workers
) -> None:
    gateway = FailingGateway(workers.stripe, Declined("resource_missing"))
    gateway.failure = None
    async with workers.at_work(gateway):
        ids = [await held(stripe_side) for _ in range(6)]
        accepted = await approved(stripe_side)
        gateway.failure = Declined("resource_missing")
        parked = await held(stripe_side)
        world = stripe_side.world
        await decide(stripe_side.client, world.instructor, parked, "reject", {"reason": "I am away."})
        closed, other_status, other_payment, other_time, calling, same = ids
        starts_at = datetime.fromisoformat((await shown(stripe_side, other_time)).json()["starts_at"])
        moved_to = starts_at + timedelta(minutes=10)
        changes: dict[str, tuple[type[SQLModel], dict[str, object]]] = {
            closed: (BookingRequest, {"status": BookingStatus.CANCELLED}),
            other_status: (BookingRequest, {"status": BookingStatus.ACCEPTED}),
            accepted: (BookingRequest, {"status": BookingStatus.PENDING}),
            other_payment: (Payment, {"status": PaymentStatus.FAILED}),
            other_time: (BookingRequest, {"starts_at": moved_to}),
            calling: (BookingRequest, {"needs_attention": True, "attention_reason": "a step failed"}),
            parked: (BookingRequest, {"needs_attention": False, "attention_reason": None}),
        }
        before = {id: await change(stripe_side, table, id, **fields) for id, (table, fields) in changes.items()}
        run = await stripe_side.reconcile()
        assert await workflow_drifts(stripe_side) == {
            closed: "its workflow is open, and its record is not",
            other_status: "its record is ACCEPTED, and its workflow PENDING",
            accepted: "its record is PENDING, and its workflow ACCEPTED",
            other_payment: "its payment's record is FAILED, and its workflow's PENDING",
            other_time: f"its record starts at {moved_to:%Y-%m-%dT%H:%M:%SZ}, and its workflow at another time",
            calling: "its record says that it needs attention, and its workflow does not",
            parked: "its workflow needs attention, and its record does not say so",
        }
        assert (run["drifts"], run["workflows_failed"]) == (7, 0)
        for id in changes:
            seen = (await shown(stripe_side, id)).json()
            assert seen["needs_attention"], id
        assert not (await shown(stripe_side, same)).json()["needs_attention"]
        for id, (table, _) in changes.items():
            await change(stripe_side, table, id, **before[id])
        assert (await stripe_side.reconcile())["drifts"] == 0
        assert not (await shown(stripe_side, other_status)).json()["needs_attention"]


@pytest.mark.usefixtures("worker")
async def test_record_that_is_changed_a_moment_before_its_workflow_is_no_drift(stripe_side: StripeSide) -> None:
    booking_id = await held(stripe_side)
    before = await change(stripe_side, BookingRequest, booking_id, status=BookingStatus.ACCEPTED)
    running = asyncio.create_task(stripe_side.reconcile())
    # By now, the run has seen the difference for the first time. It looks again after 1, 2 and 5 seconds.
    await asyncio.sleep(1.5)
    await change(stripe_side, BookingRequest, booking_id, **before)
    assert (await running)["drifts"] == 0


@workflow.defn(dynamic=True)
class Failing:
    """Any workflow, as if it had a bug."""

    @workflow.run
    async def run(self, _: Sequence[RawValue]) -> None:
        raise ApplicationError("a bug")


async def fail(temporal: Client, task_queue: str, workflow_type: str, id: str) -> None:
    """Run a workflow that fails, and wait until Temporal's visibility store has it."""
    handle = await temporal.start_workflow(workflow_type, id=id, task_queue=task_queue)
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    await listed(temporal, id, "Failed")


async def test_failed_workflow_needs_attention_until_a_later_run_of_it_has_not_failed(
    app: FastAPI, stripe_side: StripeSide, temporal: Client, task_queue: str, workers: Workers
) -> None:
    world = stripe_side.world
    async with workers.at_work():
        booking_id, refunded = await held(stripe_side), await settled(stripe_side)
        refund = await order(stripe_side.client, world.operator, refunded, "refund", {"amount_minor": 100, **REASON})
        [made] = refund.json()["refunds"]
        await terminate(temporal, workflow_id(UUID(booking_id)))
    async with Worker(
        temporal, task_queue=task_queue, workflows=[Failing], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        await fail(temporal, task_queue, "Booking", workflow_id(UUID(booking_id)))
        await fail(temporal, task_queue, "Refund", refund_workflow_id(UUID(made["id"])))
        await fail(temporal, task_queue, "Onboarding", onboarding_workflow_id(world.instructor.id))
        await fail(temporal, task_queue, "Reconciliation", f"reconciliation-{uuid4()}")
    async with workers.at_work():
        run = await stripe_side.reconcile()
        assert (run["workflows_failed"], run["drifts"]) == (4, 3)
        assert "holdfast_reconciliation_workflows_failed 4.0" in await scrape(app)
        # Its hold is released all the same.
        ended = (await shown(stripe_side, booking_id)).json()
        assert (ended["status"], ended["payment"]["status"]) == ("CANCELLED", "REFUNDED")
        for id, failed in ((booking_id, f"booking-{booking_id}"), (refunded, f"refund-{made['id']}")):
            seen = (await shown(stripe_side, id)).json()
            assert seen["attention_reason"] == f"reconciliation: the workflow {failed} has failed"
        [of_instructor] = [
            each for each in await stripe_side.drifts(open="true") if each["kind"] == "instructor_workflow"
        ]
        assert of_instructor["instructor_id"] == str(world.instructor.id)
        # The refund and the onboarding were restarted. A booking is not, so an operator resets or deletes the workflow.
        assert (await stripe_side.reconcile())["workflows_failed"] == 2
        assert not (await shown(stripe_side, refunded)).json()["needs_attention"]
        assert (await shown(stripe_side, booking_id)).json()["needs_attention"]
