"""A charge on the platform through Checkout, and the transfer that follows it later."""

from typing import Literal

import pytest
from stripe import Charge, InvalidRequestError, PaymentIntent, Transfer
from stripe.params import TransferCreateParams

from tests.sandbox.stripe.platform import Json, Platform

DAY = 86_400
NET = 9_680
"""What is left of 100.00 after Stripe's fee."""


async def _charged(platform: Platform, amount: int = 10_000, currency: str = "usd", **intent_data: str) -> Charge:
    """The charge of a paid Checkout Session with automatic capture."""
    session = await platform.checkout(amount, currency, payment_intent_data=intent_data)
    await platform.submit(session)
    session = await platform.stripe.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["payment_intent"]})
    assert isinstance(session.payment_intent, PaymentIntent)
    assert (session.payment_status, session.payment_intent.status) == ("paid", "succeeded")
    return await platform.stripe.v1.charges.retrieve_async(str(session.payment_intent.latest_charge))


async def _transfer(platform: Platform, charge: Charge, account: str, amount: int = 8_000, **more: object) -> Transfer:
    params: TransferCreateParams = {
        "amount": amount,
        "currency": "usd",
        "destination": account,
        "source_transaction": charge.id,
        **more,  # type: ignore[typeddict-item]
    }
    return await platform.stripe.v1.transfers.create_async(params)


async def test_charge_is_booked_on_the_platform_at_once(platform: Platform) -> None:
    charge = await _charged(platform, transfer_group="booking-1")
    assert (charge.status, charge.captured, charge.transfer_group) == ("succeeded", True, "booking-1")
    assert (charge.transfer_data, charge.application_fee) == (None, None)
    assert await platform.balance_transactions() == [("charge", 10_000, 320)]
    events = await platform.event_types()
    assert events[1:4] == ["charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"]


async def test_transfer_waits_for_the_charge_and_belongs_to_its_group(platform: Platform) -> None:
    account = await platform.account()
    charge = await _charged(platform, transfer_group="booking-1")
    transfer = await _transfer(platform, charge, account.id, metadata={"booking": "1"})
    assert (transfer.transfer_group, transfer.metadata["booking"]) == ("booking-1", "1")
    by_group = await platform.stripe.v1.transfers.list_async({"transfer_group": "booking-1"})
    assert [found.id for found in by_group.data] == [transfer.id]
    assert charge.balance_transaction is not None
    sold = await platform.stripe.v1.balance_transactions.retrieve_async(str(charge.balance_transaction))
    [received] = (await platform.stripe.v1.balance_transactions.list_async({}, {"stripe_account": account.id})).data
    assert (received.available_on, received.status) == (sold.available_on, "pending")


@pytest.mark.parametrize("requested", [None, "booking-2"])
async def test_charge_without_a_group_gets_one_with_its_transfer(platform: Platform, requested: str | None) -> None:
    account = await platform.account()
    charge = await _charged(platform)
    more: Json = {"transfer_group": requested} if requested else {}
    transfer = await _transfer(platform, charge, account.id, **more)
    charge = await platform.stripe.v1.charges.retrieve_async(charge.id)
    assert transfer.transfer_group == charge.transfer_group == (requested or f"group_{charge.payment_intent}")


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ("held", "source_transaction"),
        ("refunded", "source_transaction"),
        ("no transfers", "destination"),
        ("currency", "currency"),
        ("amount", "amount"),
    ],
)
async def test_transfer_that_the_charge_does_not_allow_is_refused(platform: Platform, wrong: str, param: str) -> None:
    account = await platform.account(onboarded=wrong != "no transfers")
    if wrong == "held":
        held = await platform.hold()
        charge = await platform.stripe.v1.charges.retrieve_async(str(held.latest_charge))
    else:
        charge = await _charged(platform, currency="eur" if wrong == "currency" else "usd")
    if wrong == "refunded":
        await platform.stripe.v1.refunds.create_async({"charge": charge.id})
    with pytest.raises(InvalidRequestError) as refused:
        await _transfer(platform, charge, account.id, 10_001 if wrong == "amount" else 8_000)
    assert refused.value.param == param
    assert (await platform.stripe.v1.transfers.list_async()).data == []


@pytest.mark.parametrize("settled", [False, True])
async def test_transfer_of_a_settled_charge_needs_the_balance(platform: Platform, settled: bool) -> None:
    account = await platform.account()
    charge = await _charged(platform)
    await platform.control("POST", "/disputes", {"charge": charge.id})
    assert await platform.net() == NET - 10_000 - 1_500
    if not settled:
        assert (await _transfer(platform, charge, account.id)).amount == 8_000
        return
    await platform.advance(3 * DAY)
    with pytest.raises(InvalidRequestError) as refused:
        await _transfer(platform, charge, account.id)
    assert refused.value.code == "balance_insufficient"


@pytest.mark.parametrize("transferred_first", [False, True])
@pytest.mark.parametrize("refunded", [2_500, 10_000])
async def test_refund_is_the_platforms_alone(platform: Platform, refunded: int, transferred_first: bool) -> None:
    account = await platform.account()
    charge = await _charged(platform)
    if transferred_first:
        await _transfer(platform, charge, account.id)
    refund = await platform.stripe.v1.refunds.create_async({"charge": charge.id, "amount": refunded})
    assert (refund.transfer_reversal, refund.status) == (None, "succeeded")
    share = 8_000 if transferred_first else 0
    assert (await platform.net(), await platform.net(account.id)) == (NET - share - refunded, share)
    if not transferred_first and refunded < 10_000:
        assert (await _transfer(platform, charge, account.id, 10_000 - refunded)).amount == 7_500


async def test_refund_cannot_reverse_a_separate_transfer(platform: Platform) -> None:
    account = await platform.account()
    charge = await _charged(platform)
    transfer = await _transfer(platform, charge, account.id)
    with pytest.raises(InvalidRequestError) as refused:
        await platform.stripe.v1.refunds.create_async({"charge": charge.id, "reverse_transfer": True})
    assert refused.value.param == "reverse_transfer"
    await platform.stripe.v1.refunds.create_async({"charge": charge.id, "amount": 5_000})
    await platform.stripe.v1.transfers.reversals.create_async(transfer.id, {"amount": 4_000})
    assert (await platform.net(), await platform.net(account.id)) == (NET - 5_000 - 4_000, 4_000)


@pytest.mark.parametrize("paid_out", [False, True])
@pytest.mark.parametrize("bears_losses", ["application", "stripe"])
async def test_reversal_needs_the_money_only_where_stripe_bears_the_losses(
    platform: Platform, bears_losses: Literal["application", "stripe"], paid_out: bool
) -> None:
    account = await platform.account(losses=bears_losses)
    charge = await _charged(platform)
    transfer = await _transfer(platform, charge, account.id)
    if paid_out:
        await platform.advance(4 * DAY)
    before = await platform.net(account.id)
    assert before == (0 if paid_out else 8_000)
    if not paid_out or bears_losses == "application":
        reversal = await platform.stripe.v1.transfers.reversals.create_async(transfer.id)
        assert (reversal.amount, await platform.net(), await platform.net(account.id)) == (8_000, NET, before - 8_000)
        return
    with pytest.raises(InvalidRequestError) as refused:
        await platform.stripe.v1.transfers.reversals.create_async(transfer.id)
    assert refused.value.code == "balance_insufficient"
    assert (await platform.stripe.v1.transfers.retrieve_async(transfer.id)).amount_reversed == 0


@pytest.mark.parametrize(("evidence", "comes_back"), [("winning_evidence", 10_000), ("losing_evidence", 0)])
@pytest.mark.parametrize("share", [0, 8_000])
async def test_dispute_takes_the_charge_from_the_platform_and_leaves_the_transfer(
    platform: Platform, share: int, evidence: str, comes_back: int
) -> None:
    account = await platform.account()
    charge = await _charged(platform)
    if share:
        await _transfer(platform, charge, account.id)
    opened = await platform.control("POST", "/disputes", {"charge": charge.id})
    assert (opened["is_charge_refundable"], opened["amount"]) == (False, 10_000)
    assert (await platform.net(), await platform.net(account.id)) == (NET - share - 10_000 - 1_500, share)
    closed = await platform.stripe.v1.disputes.update_async(
        opened["id"], {"evidence": {"uncategorized_text": evidence}, "submit": True}
    )
    assert closed.is_charge_refundable is (comes_back > 0)
    assert await platform.net() == NET - share - 10_000 - 1_500 + comes_back
    if comes_back:
        await platform.stripe.v1.refunds.create_async({"charge": charge.id, "amount": 1_000})
        assert await platform.net() == NET - share - 1_500 - 1_000
