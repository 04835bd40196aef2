"""A refund made by others is adopted whatever its metadata say; our own are never adopted."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from models.domain.ledger import Account
from tests.api.live.journey import order
from tests.api.live.reconciliation.steps import approved, balances, settled, shown, until
from tests.api.live.reconciliation.stripe_side import HANDLED, StripeSide
from tests.api.world import JSON

# The Stripe SDK's own use of httpx.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
    pytest.mark.usefixtures("worker"),
]
REFUNDS = frozenset(type_ for type_ in HANDLED if "refund" in type_)

Labels = Callable[[str, str], dict[str, str]]
LABELS: dict[str, Labels] = {
    "no label": lambda booking_id, refund_id: {},
    "our booking": lambda booking_id, refund_id: {"bookingRequestId": booking_id},
    "no refund of ours": lambda booking_id, refund_id: {"refund_id": str(uuid4())},
    "our refund": lambda booking_id, refund_id: {"bookingRequestId": booking_id, "refund_id": refund_id, "try": "1"},
}


async def _refund_by_script(stripe_side: StripeSide, booking_id: str, metadata: dict[str, str]) -> str:
    params: Any = {
        "payment_intent": (await stripe_side.intent(booking_id)).id,
        "amount": 2_500,
        "reverse_transfer": True,
        "refund_application_fee": True,
        "metadata": metadata,
    }
    return (await stripe_side.stripe.v1.refunds.create_async(params)).id


@pytest.mark.parametrize("is_delivered", [True, False], ids=["delivered", "redelivered"])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
async def test_refund_by_a_script_is_adopted_whatever_its_labels(
    stripe_side: StripeSide, labels: Labels, is_delivered: bool
) -> None:
    booking_id = await settled(stripe_side)
    await order(stripe_side.client, stripe_side.world.operator, booking_id, "refund", {"amount_minor": 2_500})
    [ours] = (await shown(stripe_side, booking_id)).json()["refunds"]
    refund_id = await _refund_by_script(stripe_side, booking_id, labels(booking_id, ours["id"]))
    await stripe_side.deliver(but_for=frozenset() if is_delivered else REFUNDS)
    if not is_delivered:
        await stripe_side.reconcile()
    seen = await until(stripe_side, booking_id, lambda shown: shown["payment"]["captured"]["amount_minor"] == 5_000)
    assert {each["stripe_refund_id"] for each in seen["refunds"]} == {ours["stripe_refund_id"], refund_id}
    assert -(await balances(stripe_side, booking_id))[Account.INSTRUCTOR_PAYABLE] == 4_000
    assert (await stripe_side.reconcile())["drifts"] == 0


async def test_refund_by_a_bookings_ending_is_not_adopted(stripe_side: StripeSide) -> None:
    """Captured in full in the dashboard, then released: the refund is the ending's."""
    booking_id = await approved(stripe_side)
    intent = await stripe_side.intent(booking_id)
    await stripe_side.stripe.v1.payment_intents.capture_async(intent.id)
    await order(stripe_side.client, stripe_side.world.operator, booking_id, "release")
    await stripe_side.deliver()
    seen: JSON = (await shown(stripe_side, booking_id)).json()
    assert (seen["payment"]["status"], seen["refunds"]) == ("REFUNDED", [])
    assert (await stripe_side.reconcile())["drifts"] == 0


@pytest.mark.parametrize(
    ("ending", "body", "refunded"),
    [("release", None, 10_000), ("refund", {"amount_minor": 4_000, "reason": "The lesson was cut short."}, 4_000)],
)
async def test_refund_of_an_ending_that_the_bank_returns_is_sent_again(
    stripe_side: StripeSide, ending: str, body: JSON | None, refunded: int
) -> None:
    booking_id, operator = await approved(stripe_side), stripe_side.world.operator
    intent = await stripe_side.intent(booking_id)
    await stripe_side.stripe.v1.payment_intents.capture_async(intent.id)
    assert (await order(stripe_side.client, operator, booking_id, ending, body)).status_code == 200
    before = await balances(stripe_side, booking_id)
    [refund] = (await stripe_side.stripe.v1.refunds.list_async({"payment_intent": intent.id})).data
    await stripe_side.order(f"/refunds/{refund.id}/fail", {"failure_reason": "lost_or_stolen_card"})
    await stripe_side.deliver()
    seen = await until(stripe_side, booking_id, lambda shown: shown["needs_attention"])
    assert f"the student is owed {refunded / 100:.2f} USD" in seen["attention_reason"]
    [returned] = seen["refunds"]
    assert (returned["status"], returned["amount"]["amount_minor"]) == ("FAILED", refunded)
    assert -(await balances(stripe_side, booking_id))[Account.REFUNDS] == refunded
    assert (await stripe_side.reconcile())["drifts"] == 0

    again = await order(stripe_side.client, operator, booking_id, "retry")
    assert again.status_code == 200, again.text
    assert (again.json()["needs_attention"], again.json()["refunds"][0]["status"]) == (False, "SUCCEEDED")
    await stripe_side.deliver()
    assert await balances(stripe_side, booking_id) == before
    assert (await stripe_side.reconcile())["drifts"] == 0
