"""What somebody ended from outside, in Temporal, is found by the next reconciliation and ended in the books."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from temporalio.client import Client

from models.domain.ids import dispute_workflow_id, workflow_id
from sandbox.browser.checkout_page import GOOD_CARD, pay
from tests.api.live.reconciliation.books import Books
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

# The Stripe SDK's own use of httpx.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
    pytest.mark.usefixtures("worker"),
]


@pytest.mark.parametrize("accepted", [False, True])
async def test_a_hold_whose_workflow_was_terminated_is_released(books: Books, temporal: Client, accepted: bool) -> None:
    booking_id = await (approved(books) if accepted else held(books))
    await terminate(temporal, workflow_id(UUID(booking_id)))
    run = await books.reconcile()
    assert (run["holds_released"], run["drifts"]) == (1, 0)
    assert (await books.intent(booking_id)).status == "canceled"
    seen = (await shown(books, booking_id)).json()
    assert (seen["status"], seen["payment"]["status"], seen["needs_attention"]) == ("CANCELLED", "REFUNDED", False)
    assert (seen["session"] or {}).get("status") == ("CANCELLED" if accepted else None)
    assert await balances(books, booking_id) == {}
    assert (await books.reconcile())["holds_released"] == 0


async def test_a_hold_that_came_after_its_workflow_was_terminated_is_released(books: Books, temporal: Client) -> None:
    created = await booked(books)
    await terminate(temporal, workflow_id(UUID(created["id"])))
    assert await pay(created["checkout_url"], GOOD_CARD)
    await books.deliver()
    assert (await books.reconcile())["holds_released"] == 1
    assert (await books.intent(created["id"])).status == "canceled"


async def test_an_unpaid_booking_whose_workflow_was_terminated_gives_its_slot_back(
    books: Books, temporal: Client
) -> None:
    created = await booked(books)
    await terminate(temporal, workflow_id(UUID(created["id"])))
    await books.reconcile()
    assert (await shown(books, created["id"], books.world.student)).status_code == 410
    [session] = (await books.stripe.v1.checkout.sessions.list_async({"limit": 1})).data
    assert session.status == "expired"


async def test_a_charge_that_was_taken_before_its_workflow_was_terminated_stays(books: Books, temporal: Client) -> None:
    booking_id = await approved(books)
    await terminate(temporal, workflow_id(UUID(booking_id)))
    await books.stripe.v1.payment_intents.capture_async(
        (await books.intent(booking_id)).id, {"application_fee_amount": 2_000}
    )
    run = await books.reconcile()
    seen = (await shown(books, booking_id)).json()
    assert (seen["status"], seen["payment"]["status"], run["drifts"]) == ("COMPLETED", "CAPTURED", 0)
    assert seen["payout"]["amount"] == usd(8_000)


async def test_what_cannot_be_put_right_by_itself_needs_attention_until_it_is(books: Books, temporal: Client) -> None:
    booking_id = await approved(books)
    await terminate(temporal, workflow_id(UUID(booking_id)))
    intent = await books.intent(booking_id)
    await books.stripe.v1.payment_intents.capture_async(
        intent.id, {"amount_to_capture": 5_000, "application_fee_amount": 1_000}
    )
    await books.reconcile()
    kinds = {drift["kind"]: drift for drift in await books.drifts(open="true")}
    assert kinds["orphaned"]["booking_id"] == booking_id
    assert kinds["orphaned"]["stripe"] == usd(5_000)
    seen = (await shown(books, booking_id)).json()
    assert seen["needs_attention"]
    assert "no workflow" in seen["attention_reason"]
    await books.stripe.v1.refunds.create_async(
        {"payment_intent": intent.id, "reverse_transfer": True, "refund_application_fee": True}
    )
    await books.reconcile()
    seen = (await shown(books, booking_id)).json()
    assert (seen["status"], seen["needs_attention"]) == ("CANCELLED", False)


async def test_a_dispute_whose_workflow_was_terminated_is_taken_up_again(books: Books, temporal: Client) -> None:
    booking_id = await settled(books)
    dispute = await books.order("/disputes", {"charge": (await books.intent(booking_id)).latest_charge})
    await books.deliver()
    await until(books, booking_id, lambda shown: shown["payment"]["status"] == "DISPUTED")
    id = dispute_workflow_id(dispute["id"])
    await terminate(temporal, id)
    await books.reconcile()
    described = await temporal.get_workflow_handle(id).describe()
    assert described.status is not None
    assert described.status.name == "RUNNING"


async def test_an_overdue_booking_that_temporal_does_not_know_is_released(books: Books) -> None:
    """As after a Temporal that was set up anew."""
    booking_id = await books.world.booking(next_deadline_at=datetime(2026, 1, 1, tzinfo=UTC))
    await books.reconcile()
    assert (await shown(books, str(booking_id))).status_code == 404
