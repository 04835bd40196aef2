"""A platform that settles in another currency than it charges has no drift, and Stripe's fees in their own currency."""

import pytest

from tests.api.live.journey import order
from tests.api.live.reconciliation.steps import settled, until
from tests.api.live.reconciliation.stripe_side import StripeSide
from tests.api.world import JSON

# The Stripe SDK's own use of httpx.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
    pytest.mark.usefixtures("worker"),
]


def eur(amount_minor: int) -> JSON:
    return {"amount_minor": amount_minor, "currency": "eur"}


@pytest.fixture
async def booking_id(stripe_side: StripeSide) -> str:
    """Settled for 100.00 USD, of which Stripe takes 2.94 EUR, which are 3.20 USD."""
    await stripe_side.order("/settlement", {"currency": "eur", "rates": {"usd": "0.92"}})
    booking_id = await settled(stripe_side)
    await stripe_side.deliver()
    return booking_id


async def balances(stripe_side: StripeSide, booking_id: str) -> dict[tuple[str, str], int]:
    """The booking's account balances, by account and currency."""
    path = f"/v1/operator/bookings/{booking_id}/ledger"
    answer = await stripe_side.client.get(path, headers=stripe_side.world.operator.headers)
    return {
        (line["account"], line["amount"]["currency"]): line["amount"]["amount_minor"]
        for line in answer.json()["balances"]
    }


async def totals_without_drift(stripe_side: StripeSide) -> dict[tuple[str, str], tuple[int, int]]:
    """The run's totals by book and currency: the ledger's, and Stripe's."""
    await stripe_side.deliver()
    run = await stripe_side.reconcile()
    assert run["drifts"] == 0
    assert await stripe_side.drifts() == []
    return {
        (total["book"], total["ledger"]["currency"]): (total["ledger"]["amount_minor"], total["stripe"]["amount_minor"])
        for total in run["totals"]
    }


async def test_charge_is_booked_as_charged_and_its_fee_as_settled(stripe_side: StripeSide, booking_id: str) -> None:
    assert await balances(stripe_side, booking_id) == {
        ("stripe_balance", "usd"): 2_000,
        ("stripe_balance", "eur"): -294,
        ("stripe_fees", "eur"): 294,
        ("connected_balance", "usd"): 8_000,
        ("instructor_payable", "usd"): -8_000,
        ("platform_revenue", "usd"): -2_000,
    }
    assert await totals_without_drift(stripe_side) == {
        ("card_holds", "usd"): (0, 0),
        ("stripe_balance", "usd"): (2_000, 2_000),
        ("stripe_balance", "eur"): (-294, -294),
        ("transfers", "usd"): (8_000, 8_000),
        ("connected_balance", "usd"): (8_000, 8_000),
    }


async def test_refund_and_lost_dispute_are_booked_as_charged(stripe_side: StripeSide, booking_id: str) -> None:
    half = {"amount_minor": 5_000, "reason": "The lesson was cut short."}
    answer = await order(stripe_side.client, stripe_side.world.operator, booking_id, "refund", half)
    assert answer.status_code == 200, answer.text
    assert (await totals_without_drift(stripe_side))["stripe_balance", "usd"] == (1_000, 1_000)
    charge = (await stripe_side.intent(booking_id)).latest_charge
    dispute = await stripe_side.order("/disputes", {"charge": charge})
    await stripe_side.deliver()
    await until(stripe_side, booking_id, lambda shown: shown["payment"]["status"] == "DISPUTED")
    # 15.00 USD for the dispute are 13.80 EUR.
    assert (await totals_without_drift(stripe_side))["stripe_balance", "eur"] == (-294 - 1_380, -294 - 1_380)
    await stripe_side.stripe.v1.disputes.close_async(dispute["id"])
    await stripe_side.deliver()
    await until(stripe_side, booking_id, lambda shown: shown["payment"]["status"] == "REFUNDED")
    totals = await totals_without_drift(stripe_side)
    assert totals["stripe_balance", "usd"] == (0, 0)
    assert await balances(stripe_side, booking_id) == {
        ("stripe_balance", "eur"): -294 - 1_380,
        ("stripe_fees", "eur"): 294 + 1_380,
    }
