"""Separate charges and transfers, reversals and fee refunds."""

import pytest
from stripe import InvalidRequestError

from tests.sandbox.stripe.platform import Platform


async def test_transfer_from_a_charge_is_limited_to_its_amount(platform: Platform) -> None:
    account = await platform.account()
    intent = await platform.paid(10_000, transfer_group="booking-1")
    charge = str(intent.latest_charge)
    transfer = await platform.stripe.v1.transfers.create_async(
        {"amount": 8_000, "currency": "usd", "destination": account.id, "source_transaction": charge}
    )
    assert (transfer.transfer_group, transfer.source_transaction) == ("booking-1", charge)
    assert (await platform.net(), await platform.net(account.id)) == (9_680 - 8_000, 8_000)
    with pytest.raises(InvalidRequestError) as too_much:
        await platform.stripe.v1.transfers.create_async(
            {"amount": 2_001, "currency": "usd", "destination": account.id, "source_transaction": charge}
        )
    assert too_much.value.code == "balance_insufficient"
    by_group = await platform.stripe.v1.transfers.list_async({"transfer_group": "booking-1"})
    assert [found.id for found in by_group.data] == [transfer.id]


async def test_transfer_without_a_source_requires_available_balance(platform: Platform) -> None:
    account = await platform.account()
    await platform.paid(10_000)
    with pytest.raises(InvalidRequestError) as pending:
        await platform.stripe.v1.transfers.create_async({"amount": 1_000, "currency": "usd", "destination": account.id})
    assert pending.value.code == "balance_insufficient"
    await platform.paid(10_000, payment_method="pm_card_bypassPending")
    await platform.stripe.v1.transfers.create_async({"amount": 1_000, "currency": "usd", "destination": account.id})
    assert await platform.net(account.id) == 1_000


async def test_reversals_are_limited_to_the_transfer(platform: Platform) -> None:
    account = await platform.account()
    intent = await platform.paid(10_000)
    transfer = await platform.stripe.v1.transfers.create_async(
        {
            "amount": 8_000,
            "currency": "usd",
            "destination": account.id,
            "source_transaction": str(intent.latest_charge),
        }
    )
    reversal = await platform.stripe.v1.transfers.reversals.create_async(transfer.id, {"amount": 3_000})
    assert (reversal.amount, await platform.net(account.id)) == (3_000, 5_000)
    with pytest.raises(InvalidRequestError) as too_much:
        await platform.stripe.v1.transfers.reversals.create_async(transfer.id, {"amount": 5_001})
    assert too_much.value.param == "amount"
    await platform.stripe.v1.transfers.reversals.create_async(transfer.id)
    reversed_ = await platform.stripe.v1.transfers.retrieve_async(transfer.id)
    assert (reversed_.reversed, reversed_.amount_reversed, len(reversed_.reversals.data)) == (True, 8_000, 2)
    with pytest.raises(InvalidRequestError):
        await platform.stripe.v1.transfers.reversals.create_async(transfer.id)
    assert await platform.balance_transactions(account.id) == [
        ("payment", 8_000, 0),
        ("payment_refund", -3_000, 0),
        ("payment_refund", -5_000, 0),
    ]


async def test_fee_can_be_refunded_alone(platform: Platform) -> None:
    account = await platform.account()
    intent = await platform.paid(application_fee_amount=2_000, transfer_data={"destination": account.id})
    [fee] = (await platform.stripe.v1.application_fees.list_async()).data
    assert fee.originating_transaction == intent.latest_charge
    await platform.stripe.v1.application_fees.refunds.create_async(fee.id, {"amount": 500})
    assert (await platform.net(), await platform.net(account.id)) == (1_680 - 500, 8_500)
    with pytest.raises(InvalidRequestError):
        await platform.stripe.v1.application_fees.refunds.create_async(fee.id, {"amount": 1_501})
