"""The platform's balance transactions, each traced to the student's charge that it belongs to."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import stripe

from activities.stripe.balances import StripeBalances
from tests.activities.stripe.conftest import Json, PaidInstructor


async def traced(client: stripe.StripeClient) -> Counter[str | None]:
    """The number of balance transactions of each charge."""
    since = datetime.now(UTC) - timedelta(hours=1)
    return Counter([line.charge_id async for line in StripeBalances(client).balance_transactions(since)])


async def test_each_transaction_of_a_refunded_charge_is_traced_to_it(paid: PaidInstructor) -> None:
    """The charge, its fee and transfer; the refund, the reversal and the refunded fee."""
    charge, other = await paid.charge(), await paid.charge()
    await paid.refund(charge, 2_500)
    assert await traced(paid.client) == {charge.id: 6, other.id: 3}


async def test_reversal_and_fee_refund_as_sources_are_traced_as_well(paid: PaidInstructor) -> None:
    charge = await paid.charge()
    await paid.refund(charge, 2_500)

    def name_the_step(answer: Json) -> None:
        for line in answer["data"]:
            source = line["source"]
            if line["type"] == "transfer_refund":
                line["source"] = {"id": "trr_1", "object": "transfer_reversal", "transfer": source["id"]}
            elif line["type"] == "application_fee_refund":
                line["source"] = {"id": "fr_1", "object": "fee_refund", "fee": source["id"]}

    async with paid.rewritten("/v1/balance_transactions", name_the_step) as client:
        assert await traced(client) == {charge.id: 6}
