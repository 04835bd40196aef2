"""Orphans: workflows that were terminated in Temporal are found by the next reconciliation."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client

from models.domain import ids
from models.domain.errors import Declined
from models.domain.ids import (
    dispute_workflow_id,
    external_refund_id,
    onboarding_workflow_id,
    refund_workflow_id,
    workflow_id,
)
from models.domain.notifications import NotificationKind
from models.domain.reconciliation import ReconciliationOrder
from models.domain.refunds import RefundOrder
from models.tables.outbox import OutboxMessage
from models.tables.people import Instructor
from sandbox.browser.checkout_page import GOOD_CARD, pay
from tests.api.live.journey import decide, over
from tests.api.live.reconciliation.steps import (
    approved,
    balances,
    booked,
    held,
    listed,
    settled,
    shown,
    slot,
    terminate,
    until,
    usd,
)
from tests.api.live.reconciliation.stripe_side import StripeSide
from tests.api.live.workers import FailingGateway, Workers
from tests.api.stripe_events import account_event, send_connect
from tests.api.world import book, problem
from workflows.reconciliation import ReconciliationWorkflow
from workflows.refunds import RefundWorkflow

# The Stripe SDK's own use of httpx.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
    pytest.mark.usefixtures("worker"),
]


@pytest.mark.parametrize("accepted", [False, True])
async def test_hold_of_a_terminated_workflow_is_released(
    stripe_side: StripeSide, temporal: Client, accepted: bool
) -> None:
    booking_id = await (approved(stripe_side) if accepted else held(stripe_side))
    await terminate(temporal, workflow_id(UUID(booking_id)))
    run = await stripe_side.reconcile()
    assert (run["holds_released"], run["drifts"]) == (1, 0)
    assert (await stripe_side.intent(booking_id)).status == "canceled"
    seen = (await shown(stripe_side, booking_id)).json()
    assert (seen["status"], seen["payment"]["status"], seen["needs_attention"]) == ("CANCELLED", "REFUNDED", False)
    assert (seen["session"] or {}).get("status") == ("CANCELLED" if accepted else None)
    assert await balances(stripe_side, booking_id) == {}
    assert (await stripe_side.reconcile())["holds_released"] == 0


async def test_hold_made_after_its_workflow_was_terminated_is_released(
    stripe_side: StripeSide, temporal: Client
) -> None:
    created = await booked(stripe_side)
    await terminate(temporal, workflow_id(UUID(created["id"])))
    assert await pay(created["checkout_url"], GOOD_CARD)
    await stripe_side.deliver()
    assert (await stripe_side.reconcile())["holds_released"] == 1
    assert (await stripe_side.intent(created["id"])).status == "canceled"


async def test_unpaid_booking_of_a_terminated_workflow_frees_its_slot(
    stripe_side: StripeSide, temporal: Client
) -> None:
    created = await booked(stripe_side)
    await terminate(temporal, workflow_id(UUID(created["id"])))
    await stripe_side.reconcile()
    assert (await shown(stripe_side, created["id"], stripe_side.world.student)).status_code == 410
    [session] = (await stripe_side.stripe.v1.checkout.sessions.list_async({"limit": 1})).data
    assert session.status == "expired"


async def test_charge_captured_before_the_termination_is_kept(stripe_side: StripeSide, temporal: Client) -> None:
    booking_id = await approved(stripe_side)
    await terminate(temporal, workflow_id(UUID(booking_id)))
    await stripe_side.stripe.v1.payment_intents.capture_async(
        (await stripe_side.intent(booking_id)).id, {"application_fee_amount": 2_000}
    )
    run = await stripe_side.reconcile()
    seen = (await shown(stripe_side, booking_id)).json()
    assert (seen["status"], seen["payment"]["status"], run["drifts"]) == ("COMPLETED", "CAPTURED", 0)
    assert seen["payout"]["amount"] == usd(8_000)


async def test_part_captured_by_our_rules_before_the_termination_is_kept(
    stripe_side: StripeSide, temporal: Client
) -> None:
    """As after a late cancellation of which only the capture was carried out."""
    booking_id = await approved(stripe_side)
    await terminate(temporal, workflow_id(UUID(booking_id)))
    await stripe_side.stripe.v1.payment_intents.capture_async(
        (await stripe_side.intent(booking_id)).id, {"amount_to_capture": 5_000, "application_fee_amount": 1_000}
    )
    run = await stripe_side.reconcile()
    seen = (await shown(stripe_side, booking_id)).json()
    assert (seen["status"], seen["payment"]["status"], run["drifts"]) == ("CANCELLED", "PARTIALLY_REFUNDED", 0)
    assert (seen["payment"]["captured"], seen["payout"]["amount"]) == (usd(5_000), usd(4_000))


async def test_hold_released_before_the_termination_is_recorded(stripe_side: StripeSide, temporal: Client) -> None:
    """As after a rejection of which only the release was carried out."""
    booking_id = await held(stripe_side)
    await terminate(temporal, workflow_id(UUID(booking_id)))
    await stripe_side.stripe.v1.payment_intents.cancel_async((await stripe_side.intent(booking_id)).id)
    run = await stripe_side.reconcile()
    seen = (await shown(stripe_side, booking_id)).json()
    assert (seen["status"], seen["payment"]["status"], run["drifts"]) == ("CANCELLED", "REFUNDED", 0)
    assert await balances(stripe_side, booking_id) == {}


async def test_reported_session_of_a_terminated_workflow_is_cancelled(
    stripe_side: StripeSide, temporal: Client
) -> None:
    client, world = stripe_side.client, stripe_side.world
    booking_id = await over(client, world)
    reported = await decide(client, world.instructor, booking_id, "complete")
    assert reported.json()["session"]["status"] == "COMPLETION_REPORTED"
    await terminate(temporal, workflow_id(UUID(booking_id)))
    run = await stripe_side.reconcile()
    seen = (await shown(stripe_side, booking_id)).json()
    assert (seen["status"], seen["session"]["status"]) == ("CANCELLED", "CANCELLED")
    assert (seen["payment"]["status"], seen["needs_attention"], run["drifts"]) == ("REFUNDED", False, 0)


async def test_both_sides_of_a_terminated_booking_are_told_and_its_slot_is_free(
    stripe_side: StripeSide, temporal: Client
) -> None:
    booking_id = await approved(stripe_side)
    slot_id = (await shown(stripe_side, booking_id)).json()["slot_id"]
    await terminate(temporal, workflow_id(UUID(booking_id)))
    await stripe_side.reconcile()
    told = select(OutboxMessage.recipient_id).where(
        col(OutboxMessage.booking_id) == UUID(booking_id), col(OutboxMessage.kind) == NotificationKind.CANCELLED
    )
    async with AsyncSession(stripe_side.world.engine) as session:
        assert set(await session.exec(told)) == {stripe_side.world.student.id, stripe_side.world.instructor.id}
    again = await book(stripe_side.client, stripe_side.world.student, UUID(slot_id), key="again")
    assert again.status_code == 201, again.text


async def test_decision_on_a_terminated_booking_says_so_and_has_the_booking_ended(
    stripe_side: StripeSide, temporal: Client
) -> None:
    booking_id = await held(stripe_side)
    await terminate(temporal, workflow_id(UUID(booking_id)))
    approve = f"/v1/bookings/{booking_id}/approve"
    answer = await stripe_side.client.post(approve, headers=stripe_side.world.instructor.headers)
    assert problem(answer) == (409, "booking-interrupted")
    assert (answer.json()["booking_status"], "Nothing was decided" in answer.json()["detail"]) == ("PENDING", True)
    await until(stripe_side, booking_id, lambda shown: shown["status"] == "CANCELLED")
    answer = await stripe_side.client.post(approve, headers=stripe_side.world.instructor.headers)
    assert problem(answer) == (409, "booking-closed")
    assert answer.json()["booking_status"] == "CANCELLED"
    assert (await stripe_side.intent(booking_id)).status == "canceled"


async def test_booking_that_was_terminated_before_its_checkout_says_so_and_is_deleted(
    stripe_side: StripeSide, temporal: Client
) -> None:
    student, slot_id, key = stripe_side.world.student, await slot(stripe_side), "k"
    await stripe_side.world.booking(slot_id, id=ids.booking_id(student.id, key))
    answer = await book(stripe_side.client, student, slot_id, key)
    assert problem(answer) == (409, "booking-interrupted")
    async with asyncio.timeout(20):
        while answer.status_code != 410:
            await asyncio.sleep(0.1)
            answer = await shown(stripe_side, str(ids.booking_id(student.id, key)), student)


async def test_unresolved_orphan_needs_attention_until_it_is_resolved(
    stripe_side: StripeSide, temporal: Client
) -> None:
    booking_id = await approved(stripe_side)
    await terminate(temporal, workflow_id(UUID(booking_id)))
    intent = await stripe_side.intent(booking_id)
    await stripe_side.stripe.v1.payment_intents.capture_async(
        intent.id, {"amount_to_capture": 5_000, "application_fee_amount": 700}
    )
    await stripe_side.reconcile()
    kinds = {drift["kind"]: drift for drift in await stripe_side.drifts(open="true")}
    assert kinds["orphaned"]["booking_id"] == booking_id
    assert kinds["orphaned"]["stripe"] == usd(5_000)
    seen = (await shown(stripe_side, booking_id)).json()
    assert seen["needs_attention"]
    assert "no workflow" in seen["attention_reason"]
    await stripe_side.stripe.v1.refunds.create_async(
        {"payment_intent": intent.id, "reverse_transfer": True, "refund_application_fee": True}
    )
    await stripe_side.reconcile()
    seen = (await shown(stripe_side, booking_id)).json()
    assert (seen["status"], seen["needs_attention"]) == ("CANCELLED", False)


async def test_terminated_onboarding_workflow_is_restarted(stripe_side: StripeSide, temporal: Client) -> None:
    async with AsyncSession(stripe_side.world.engine) as session:
        instructor = await session.get_one(Instructor, stripe_side.world.instructor.id)
    # The look-up takes long enough for the workflow to be terminated meanwhile.
    slowly = {"kind": "latency", "method": "GET", "path": "*accounts*", "seconds": 4, "times": 1}
    await stripe_side.order("/faults", slowly)
    assert (await send_connect(stripe_side.client, account_event(instructor.stripe_account_id))).status_code == 200
    id = onboarding_workflow_id(instructor.id)
    await terminate(temporal, id)
    first = await temporal.get_workflow_handle(id).describe()
    await stripe_side.reconcile()
    assert (await temporal.get_workflow_handle(id).describe()).run_id != first.run_id


@pytest.mark.parametrize("end", ["terminate", "cancel"])
async def test_refund_from_the_dashboard_is_adopted_after_its_workflow_was_ended(
    stripe_side: StripeSide, temporal: Client, workers: Workers, end: str
) -> None:
    """Before it was recorded, so that only Temporal still knew which one it was."""
    booking_id = await settled(stripe_side)
    await stripe_side.deliver()
    intent = await stripe_side.intent(booking_id)
    made = await stripe_side.stripe.v1.refunds.create_async({"payment_intent": intent.id, "amount": 1_000})
    id = refund_workflow_id(external_refund_id(made.id))
    order = RefundOrder(refund_id=external_refund_id(made.id), stripe_refund_id=made.id)
    # The look-up takes long enough for the workflow to be ended meanwhile.
    slowly = {"kind": "latency", "method": "GET", "path": "/v1/refunds/*", "seconds": 4, "times": 1}
    await stripe_side.order("/faults", slowly)
    await temporal.start_workflow(RefundWorkflow.run, order, id=id, task_queue=workers.task_queue)
    if end == "cancel":
        await temporal.get_workflow_handle(id).cancel()
        await listed(temporal, id, "Canceled")
    else:
        await terminate(temporal, id)
    await stripe_side.reconcile()
    seen = await until(stripe_side, booking_id, lambda shown: bool(shown["refunds"]))
    assert seen["refunds"][0]["stripe_refund_id"] == made.id


async def test_refused_release_of_an_orphan_needs_attention(
    stripe_side: StripeSide, temporal: Client, workers: Workers
) -> None:
    booking_id = await held(stripe_side)
    await terminate(temporal, workflow_id(UUID(booking_id)))
    started, queue = Declined("charge_disputed"), workers.task_queue
    gateway = FailingGateway(workers.stripe, started)
    async with replace(workers, task_queue=f"{queue}-failing").at_work(gateway):
        order = ReconciliationOrder()
        await temporal.execute_workflow(
            ReconciliationWorkflow.run, order, id=f"{queue}-reconciliation", task_queue=f"{queue}-failing"
        )
    [drift] = await stripe_side.drifts(open="true")
    assert (drift["kind"], drift["booking_id"]) == ("orphaned", booking_id)
    seen = (await shown(stripe_side, booking_id)).json()
    assert seen["needs_attention"]
    assert "charge_disputed" in seen["attention_reason"]


async def test_terminated_dispute_workflow_is_restarted(stripe_side: StripeSide, temporal: Client) -> None:
    booking_id = await settled(stripe_side)
    dispute = await stripe_side.order("/disputes", {"charge": (await stripe_side.intent(booking_id)).latest_charge})
    await stripe_side.deliver()
    await until(stripe_side, booking_id, lambda shown: shown["payment"]["status"] == "DISPUTED")
    id = dispute_workflow_id(dispute["id"])
    await terminate(temporal, id)
    await stripe_side.reconcile()
    described = await temporal.get_workflow_handle(id).describe()
    assert described.status is not None
    assert described.status.name == "RUNNING"


async def test_open_booking_without_any_workflow_is_ended(stripe_side: StripeSide) -> None:
    """As after a Temporal that was set up anew. No deadline has to pass first."""
    booking_id = await stripe_side.world.booking()
    await stripe_side.reconcile()
    assert (await shown(stripe_side, str(booking_id))).status_code == 404
