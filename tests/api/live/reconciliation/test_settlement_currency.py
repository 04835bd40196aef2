"""A platform or an account that settles in another currency than it is paid in has no drift, and its balance in it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.live.journey import REASON, order
from tests.api.live.reconciliation.steps import approved, settled, shown, until, usd
from tests.api.live.reconciliation.stripe_side import DAY_SECONDS, StripeSide
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


async def at_stripe(stripe_side: StripeSide, account_id: str | None = None) -> dict[str, int]:
    """A balance at Stripe by currency, without zeros: the account's, or the platform's."""
    options: Any = {"stripe_account": account_id} if account_id else {}
    balance = await stripe_side.stripe.v1.balance.retrieve_async(options=options)
    sums: dict[str, int] = {}
    for part in [*balance.available, *balance.pending]:
        sums[part["currency"]] = sums.get(part["currency"], 0) + part["amount"]
    return {currency: amount for currency, amount in sums.items() if amount}


async def of(stripe_side: StripeSide, booking_id: str, account: str) -> dict[str, int]:
    """One account of the booking's ledger, by currency."""
    found = await balances(stripe_side, booking_id)
    return {currency: amount for (name, currency), amount in found.items() if name == account}


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


async def test_charge_is_compared_as_charged_and_moved_to_the_currency_of_the_balance(
    stripe_side: StripeSide, booking_id: str
) -> None:
    booked = {
        ("stripe_fees", "eur"): 294,
        ("connected_balance", "usd"): 8_000,
        ("instructor_payable", "usd"): -8_000,
        ("platform_revenue", "usd"): -2_000,
    }
    as_charged = {("stripe_balance", "usd"): 2_000, ("stripe_balance", "eur"): -294}
    assert await balances(stripe_side, booking_id) == booked | as_charged
    for _ in range(2):
        assert await totals_without_drift(stripe_side) == {
            ("card_holds", "usd"): (0, 0),
            ("stripe_balance", "usd"): (2_000, 2_000),
            ("stripe_balance", "eur"): (-294, -294),
            ("transfers", "usd"): (8_000, 8_000),
            ("connected_balance", "usd"): (8_000, 8_000),
        }
        converted = {("exchange_differences", "usd"): 2_000, ("exchange_differences", "eur"): -1_840}
        in_euros = {("stripe_balance", "eur"): 1_840 - 294}
        assert await balances(stripe_side, booking_id) == booked | converted | in_euros
        assert await at_stripe(stripe_side) == {"eur": 1_840 - 294}


async def test_refund_and_lost_dispute_leave_their_exchange_differences(
    stripe_side: StripeSide, booking_id: str
) -> None:
    """The dollar has risen since the charge."""
    await totals_without_drift(stripe_side)
    await stripe_side.order("/settlement", {"currency": "eur", "rates": {"usd": "0.95"}})
    half = {"amount_minor": 5_000, "reason": "The lesson was cut short."}
    answer = await order(stripe_side.client, stripe_side.world.operator, booking_id, "refund", half)
    assert answer.status_code == 200, answer.text
    assert (await totals_without_drift(stripe_side))["stripe_balance", "usd"] == (1_000, 1_000)
    assert await of(stripe_side, booking_id, "stripe_balance") == await at_stripe(stripe_side)
    charge = (await stripe_side.intent(booking_id)).latest_charge
    dispute = await stripe_side.order("/disputes", {"charge": charge})
    await stripe_side.deliver()
    await until(stripe_side, booking_id, lambda shown: shown["payment"]["status"] == "DISPUTED")
    # 15.00 USD for the dispute are 14.25 EUR.
    assert (await totals_without_drift(stripe_side))["stripe_balance", "eur"] == (-294 - 1_425, -294 - 1_425)
    await stripe_side.stripe.v1.disputes.close_async(dispute["id"])
    await stripe_side.deliver()
    await until(stripe_side, booking_id, lambda shown: shown["payment"]["status"] == "REFUNDED")
    assert (await totals_without_drift(stripe_side))["stripe_balance", "usd"] == (0, 0)
    in_euros = await at_stripe(stripe_side)
    fees = 294 + 1_425
    assert await balances(stripe_side, booking_id) == {
        ("stripe_balance", "eur"): in_euros["eur"],
        ("stripe_fees", "eur"): fees,
        ("exchange_differences", "eur"): -in_euros["eur"] - fees,
    }
    # 20.00 USD came at the older rate, and went at the newer one.
    assert -in_euros["eur"] - fees == round(2_000 * (0.95 - 0.92))


async def test_account_that_settles_in_another_currency_is_no_drift(stripe_side: StripeSide) -> None:
    account_id = stripe_side.account_id
    await stripe_side.order("/settlement", {"account": account_id, "currency": "eur", "rates": {"usd": "0.9"}})
    booking_id = await settled(stripe_side)
    totals = await totals_without_drift(stripe_side)
    assert totals["transfers", "usd"] == (8_000, 8_000)
    assert totals["connected_balance", "eur"] == (7_200, 7_200)
    assert (
        await of(stripe_side, booking_id, "connected_balance")
        == {"eur": 7_200}
        == await at_stripe(stripe_side, account_id)
    )
    assert await of(stripe_side, booking_id, "instructor_payable") == {"eur": -7_200}

    quarter = {"amount_minor": 2_500, "reason": "The lesson was cut short."}
    assert (await order(stripe_side.client, stripe_side.world.operator, booking_id, "refund", quarter)).is_success
    await totals_without_drift(stripe_side)
    assert await of(stripe_side, booking_id, "connected_balance") == {"eur": 5_400}

    await stripe_side.wait(5 * DAY_SECONDS)
    await stripe_side.deliver()
    await until(stripe_side, booking_id, lambda shown: shown["payout"]["status"] == "PAID")
    await totals_without_drift(stripe_side)
    assert await of(stripe_side, booking_id, "instructor_payable") == {}
    path = f"/v1/instructors/me/statements/{datetime.now(UTC).year}"
    answer = await stripe_side.client.get(path, headers=stripe_side.world.instructor.headers)
    euros, dollars = answer.json()["data"]
    names = ("net", "exchanged", "paid_out")
    assert [euros["total"][name] for name in names] == [eur(0), eur(5_400), eur(5_400)]
    assert [dollars["total"][name] for name in names] == [usd(6_000), usd(-6_000), usd(0)]
    assert (euros["closing"], dollars["closing"]) == (eur(0), usd(0))


async def separate_transfer(stripe_side: StripeSide, refund_minor: int | None = None) -> str:
    """A charge of 100.00 USD that is 92.00 EUR. It is settled later, when the dollar has risen.

    The responses to its transfer, and to the first reversal of it, are lost.
    """
    await stripe_side.order("/settlement", {"currency": "eur", "rates": {"usd": "0.92"}})
    booking_id = await approved(stripe_side, starts_in=timedelta(days=20))
    await stripe_side.order("/settlement", {"currency": "eur", "rates": {"usd": "0.95"}})
    for path in ("/v1/transfers", "/v1/transfers/*/reversals"):
        await stripe_side.order("/faults", {"kind": "drop_after", "method": "POST", "path": path})
    verb, body = ("refund", REASON | {"amount_minor": refund_minor}) if refund_minor else ("settle", REASON)
    answer = await order(stripe_side.client, stripe_side.world.operator, booking_id, verb, body)
    assert answer.status_code == 200, answer.text
    return booking_id


async def assert_balances_are_stripes(stripe_side: StripeSide, booking_id: str) -> None:
    """After a reconciliation, the booking's balances are all that Stripe has."""
    await totals_without_drift(stripe_side)
    assert await of(stripe_side, booking_id, "stripe_balance") == await at_stripe(stripe_side)
    connected = await of(stripe_side, booking_id, "connected_balance")
    assert connected == await at_stripe(stripe_side, stripe_side.account_id)
    owed = await of(stripe_side, booking_id, "instructor_payable")
    assert owed == {currency: -amount for currency, amount in connected.items()}


async def test_share_is_transferred_at_the_rate_of_its_charge(stripe_side: StripeSide) -> None:
    booking_id = await separate_transfer(stripe_side)
    seen = (await shown(stripe_side, booking_id, stripe_side.world.instructor)).json()
    assert (seen["payout"]["amount"], seen["payout"]["transferred"]) == (usd(8_000), eur(7_360))
    path, headers = "/v1/instructors/me/payouts", stripe_side.world.instructor.headers
    [listed] = (await stripe_side.client.get(path, headers=headers)).json()["data"]
    assert listed["transferred"] == eur(7_360)
    await assert_balances_are_stripes(stripe_side, booking_id)
    assert await of(stripe_side, booking_id, "connected_balance") == {"eur": 7_360}
    assert await of(stripe_side, booking_id, "stripe_balance") == {"eur": 1_840 - 294}

    await stripe_side.wait(5 * DAY_SECONDS)
    await stripe_side.deliver()
    await until(stripe_side, booking_id, lambda shown: shown["payout"]["status"] == "PAID")
    await totals_without_drift(stripe_side)
    assert await of(stripe_side, booking_id, "instructor_payable") == {}
    path = f"/v1/instructors/me/statements/{datetime.now(UTC).year}"
    euros, dollars = (await stripe_side.client.get(path, headers=headers)).json()["data"]
    names = ("net", "exchanged", "paid_out")
    assert [euros["total"][name] for name in names] == [eur(0), eur(7_360), eur(7_360)]
    assert [dollars["total"][name] for name in names] == [usd(8_000), usd(-8_000), usd(0)]


async def test_refunds_take_back_the_same_part_of_both_amounts(stripe_side: StripeSide) -> None:
    """A third is refunded when the booking ends, and another later. With the rest, nothing is left of the share."""
    booking_id = await separate_transfer(stripe_side, refund_minor=3_333)
    await assert_balances_are_stripes(stripe_side, booking_id)
    # 53.34 USD of the 66.67 USD that are kept.
    assert await of(stripe_side, booking_id, "connected_balance") == {"eur": 4_907}
    for amount_minor, left in ((3_333, {"eur": 2_454}), (3_334, {})):
        body = {"amount_minor": amount_minor, "reason": "The lesson was cut short."}
        answer = await order(stripe_side.client, stripe_side.world.operator, booking_id, "refund", body)
        assert answer.status_code == 200, answer.text
        await assert_balances_are_stripes(stripe_side, booking_id)
        assert await of(stripe_side, booking_id, "connected_balance") == left


async def test_lost_dispute_takes_back_all_of_the_share(stripe_side: StripeSide) -> None:
    booking_id = await separate_transfer(stripe_side)
    charge = (await stripe_side.intent(booking_id)).latest_charge
    dispute = await stripe_side.order("/disputes", {"charge": charge})
    await stripe_side.deliver()
    await until(stripe_side, booking_id, lambda shown: shown["payment"]["status"] == "DISPUTED")
    await assert_balances_are_stripes(stripe_side, booking_id)
    await stripe_side.stripe.v1.disputes.close_async(dispute["id"])
    await stripe_side.deliver()
    await until(stripe_side, booking_id, lambda shown: shown["payment"]["status"] == "REFUNDED")
    await assert_balances_are_stripes(stripe_side, booking_id)
    assert await of(stripe_side, booking_id, "connected_balance") == {}


async def test_share_that_the_account_converts_back_has_its_difference_in_the_ledger(stripe_side: StripeSide) -> None:
    """The account has dollars from a hold already, and settles in them."""
    in_dollars = {"account": stripe_side.account_id, "currency": "usd", "rates": {"eur": "1.07"}}
    await stripe_side.order("/settlement", in_dollars)
    held, charged = await settled(stripe_side), await separate_transfer(stripe_side)
    await totals_without_drift(stripe_side)
    # 73.60 EUR.
    assert await of(stripe_side, charged, "connected_balance") == {"usd": 7_875}
    assert await of(stripe_side, charged, "instructor_payable") == {"usd": -7_875}
    assert await at_stripe(stripe_side, stripe_side.account_id) == {"usd": 8_000 + 7_875}
    assert await of(stripe_side, held, "connected_balance") == {"usd": 8_000}


async def test_account_keeps_dollars_of_a_hold_and_euros_of_a_charge(stripe_side: StripeSide) -> None:
    held, charged = await settled(stripe_side), await separate_transfer(stripe_side)
    await totals_without_drift(stripe_side)
    assert await of(stripe_side, held, "connected_balance") == {"usd": 8_000}
    assert await of(stripe_side, charged, "connected_balance") == {"eur": 7_360}
    assert await at_stripe(stripe_side, stripe_side.account_id) == {"usd": 8_000, "eur": 7_360}
