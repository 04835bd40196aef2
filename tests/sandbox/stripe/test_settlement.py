"""A platform or an account that settles in another currency than it is paid in."""

import pytest
from stripe import BalanceTransaction, Charge, InvalidRequestError, RequestOptions

from tests.sandbox.stripe.platform import Platform

RATE = "0.92"


@pytest.fixture(autouse=True)
async def in_euros(platform: Platform) -> None:
    await platform.control("POST", "/settlement", {"currency": "eur", "rates": {"usd": RATE}})


async def test_balance_transaction_is_converted_and_the_charge_is_not(platform: Platform) -> None:
    intent = await platform.paid(expand=["latest_charge.balance_transaction"])
    intent = await platform.stripe.v1.payment_intents.retrieve_async(
        intent.id, {"expand": ["latest_charge.balance_transaction"]}
    )
    charge = intent.latest_charge
    assert isinstance(charge, Charge)
    booked = charge.balance_transaction
    assert isinstance(booked, BalanceTransaction)
    assert (charge.amount, charge.currency) == (10_000, "usd")
    assert (booked.amount, booked.currency, booked.exchange_rate) == (9_200, "eur", 0.92)
    # 3.20 USD.
    assert (booked.fee, booked.net, booked.fee_details[0].currency) == (294, 9_200 - 294, "eur")
    assert (await platform.net(), await platform.net(currency="eur")) == (0, 9_200 - 294)


async def test_transfer_fee_refund_and_dispute_keep_the_currency_of_the_charge(platform: Platform) -> None:
    account = await platform.account()
    intent = await platform.destination_hold(account.id)
    await platform.stripe.v1.payment_intents.capture_async(intent.id)
    assert (await platform.net(account.id), await platform.net(account.id, "eur")) == (8_000, 0)
    # The charge less Stripe's fee, the transfer of all of it, and the platform's fee.
    assert await platform.net(currency="eur") == 9_200 - 294 - 9_200 + 1_840
    [transfer] = (await platform.stripe.v1.transfers.list_async({"destination": account.id})).data
    [fee] = (await platform.stripe.v1.application_fees.list_async()).data
    assert [(each.amount, each.currency) for each in (transfer, fee)] == [(10_000, "usd"), (2_000, "usd")]
    refund = await platform.stripe.v1.refunds.create_async(
        {"payment_intent": intent.id, "amount": 5_000, "reverse_transfer": True, "refund_application_fee": True}
    )
    assert (refund.amount, refund.currency) == (5_000, "usd")
    dispute = await platform.control("POST", "/disputes", {"charge": refund.charge})
    assert (dispute["amount"], dispute["currency"]) == (5_000, "usd")
    [withdrawal] = dispute["balance_transactions"]
    assert (withdrawal["amount"], withdrawal["fee"], withdrawal["currency"]) == (-4_600, 1_380, "eur")
    # Less the refund, plus the reversal, less the fee's half, less the dispute and its fee.
    assert await platform.net(currency="eur") == 1_840 - 294 - 4_600 + 4_600 - 920 - 4_600 - 1_380


async def test_transfer_from_a_converted_charge_is_in_the_settlement_currency(platform: Platform) -> None:
    account = await platform.account()
    intent = await platform.paid(capture_method="automatic")
    source = str(intent.latest_charge)
    with pytest.raises(InvalidRequestError):
        await platform.stripe.v1.transfers.create_async(
            {"amount": 1_000, "currency": "usd", "destination": account.id, "source_transaction": source}
        )
    transfer = await platform.stripe.v1.transfers.create_async(
        {"amount": 9_200, "currency": "eur", "destination": account.id, "source_transaction": source}
    )
    assert (transfer.amount, transfer.currency) == (9_200, "eur")


async def test_other_currencies_are_settled_as_charged(platform: Platform) -> None:
    await platform.paid(currency="gbp")
    assert await platform.net(currency="gbp") == 9_680
    await platform.control("POST", "/settlement", {})
    await platform.paid()
    assert await platform.net() == 9_680


async def test_connected_account_is_converted_by_itself(platform: Platform) -> None:
    """The platform's balance, the transfer and the fee stay as they are."""
    await platform.control("POST", "/settlement", {})
    account = await platform.account()
    settings = {"account": account.id, "currency": "eur", "rates": {"usd": "0.9"}}
    await platform.control("POST", "/settlement", settings)
    intent = await platform.destination_hold(account.id)
    await platform.stripe.v1.payment_intents.capture_async(intent.id)
    assert (await platform.net(account.id), await platform.net(account.id, "eur")) == (0, 7_200)
    [payment] = (await platform.stripe.v1.charges.list_async({}, {"stripe_account": account.id})).data
    own: RequestOptions = {"stripe_account": account.id}
    booked = await platform.stripe.v1.balance_transactions.retrieve_async(str(payment.balance_transaction), {}, own)
    assert (payment.amount, payment.currency) == (10_000, "usd")
    assert (booked.amount, booked.fee, booked.currency, booked.exchange_rate) == (9_000, 1_800, "eur", 0.9)
    await platform.stripe.v1.refunds.create_async(
        {"payment_intent": intent.id, "amount": 5_000, "reverse_transfer": True, "refund_application_fee": True}
    )
    assert await platform.net(account.id, "eur") == 3_600


async def test_reversal_needs_the_balance_that_the_account_settles_in(platform: Platform) -> None:
    account = await platform.account(losses="stripe")
    settings = {"account": account.id, "currency": "usd", "rates": {"eur": "1.1"}}
    await platform.control("POST", "/settlement", settings)
    intent = await platform.paid(capture_method="automatic")
    transfer = await platform.stripe.v1.transfers.create_async(
        {
            "amount": 7_360,
            "currency": "eur",
            "destination": account.id,
            "source_transaction": str(intent.latest_charge),
        }
    )
    assert await platform.net(account.id) == 8_096
    await platform.stripe.v1.transfers.reversals.create_async(transfer.id, {"amount": 3_680})
    assert await platform.net(account.id) == 4_048
