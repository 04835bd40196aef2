"""Orphans: workflows that were terminated in Temporal are found by the next reconciliation."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from temporalio.client import Client

from models.domain.ids import dispute_workflow_id, workflow_id
from sandbox.browser.checkout_page import GOOD_CARD, pay
from tests.api.live.reconciliation.steps import (
    approved,
    balances,
    booked,
    held,
    settled,
    shown,
    terminate,
    until,
    usd,
)
from tests.api.live.reconciliation.stripe_side import StripeSide

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


async def test_unresolved_orphan_needs_attention_until_it_is_resolved(
    stripe_side: StripeSide, temporal: Client
) -> None:
    booking_id = await approved(stripe_side)
    await terminate(temporal, workflow_id(UUID(booking_id)))
    intent = await stripe_side.intent(booking_id)
    await stripe_side.stripe.v1.payment_intents.capture_async(
        intent.id, {"amount_to_capture": 5_000, "application_fee_amount": 1_000}
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


async def test_overdue_booking_without_workflow_is_released(stripe_side: StripeSide) -> None:
    """As after a Temporal that was set up anew."""
    booking_id = await stripe_side.world.booking(next_deadline_at=datetime(2026, 1, 1, tzinfo=UTC))
    await stripe_side.reconcile()
    assert (await shown(stripe_side, str(booking_id))).status_code == 404
