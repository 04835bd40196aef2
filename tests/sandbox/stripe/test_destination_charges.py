"""Destination charges: full and partial captures, refunds, and the balances of both accounts."""

import pytest
from stripe import Charge, InvalidRequestError

from tests.sandbox.stripe.platform import Platform


async def test_full_capture_transfers_the_amount_and_collects_the_fee(platform: Platform) -> None:
    account = await platform.account()
    intent = await platform.destination_hold(account.id)
    assert await platform.net() == 0
    await platform.stripe.v1.payment_intents.capture_async(intent.id, {"application_fee_amount": 2_000})
    assert await platform.balance_transactions() == [
        ("charge", 10_000, 320),
        ("application_fee", 2_000, 0),
        ("transfer", -10_000, 0),
    ]
    assert await platform.balance_transactions(account.id) == [("payment", 10_000, 2_000)]
    assert (await platform.net(), await platform.net(account.id)) == (1_680, 8_000)


async def test_payment_and_transfer_share_a_group(platform: Platform) -> None:
    account = await platform.account()
    intent = await platform.paid(transfer_data={"destination": account.id})
    [transfer] = (await platform.stripe.v1.transfers.list_async()).data
    [charge] = (await platform.stripe.v1.charges.list_async()).data
    assert {intent.transfer_group, transfer.transfer_group, charge.transfer_group} == {f"group_{intent.id}"}
    assert (await platform.paid()).transfer_group is None


async def test_partial_capture_releases_the_rest_without_a_refund(platform: Platform) -> None:
    account = await platform.account()
    intent = await platform.destination_hold(account.id)
    captured = await platform.stripe.v1.payment_intents.capture_async(
        intent.id,
        {"amount_to_capture": 5_000, "application_fee_amount": 1_000, "expand": ["latest_charge.refunds"]},
    )
    charge = captured.latest_charge
    assert not isinstance(charge, str)
    assert charge is not None
    assert charge.refunds is not None
    assert (captured.status, captured.amount_received, captured.amount_capturable) == ("succeeded", 5_000, 0)
    assert (charge.amount, charge.amount_captured, charge.amount_refunded) == (10_000, 5_000, 0)
    assert charge.refunds.data == []
    assert (await platform.net(), await platform.net(account.id)) == (1_000 - 175, 4_000)


async def test_fee_is_capped_at_the_captured_amount(platform: Platform) -> None:
    account = await platform.account()
    intent = await platform.destination_hold(account.id, fee=2_000)
    captured = await platform.stripe.v1.payment_intents.capture_async(intent.id, {"amount_to_capture": 1_500})
    assert captured.application_fee_amount == 1_500
    assert await platform.net(account.id) == 0


async def test_partial_refunds_return_transfer_and_fee_to_the_cent(platform: Platform) -> None:
    account = await platform.account()
    intent = await platform.destination_hold(account.id, amount=10_001, fee=3_333)
    await platform.stripe.v1.payment_intents.capture_async(intent.id, {"application_fee_amount": 3_333})
    for amount in (3_334, 3_333, 3_334):
        await platform.stripe.v1.refunds.create_async(
            {
                "payment_intent": intent.id,
                "amount": amount,
                "reverse_transfer": True,
                "refund_application_fee": True,
            }
        )
    processing_fee = 10_001 * 29 // 1_000 + 30
    assert (await platform.net(), await platform.net(account.id)) == (-processing_fee, 0)


async def test_refund_without_reversal_leaves_the_transfer(platform: Platform) -> None:
    account = await platform.account()
    intent = await platform.destination_hold(account.id)
    await platform.stripe.v1.payment_intents.capture_async(intent.id)
    refund = await platform.stripe.v1.refunds.create_async({"payment_intent": intent.id})
    assert (refund.status, refund.transfer_reversal) == ("succeeded", None)
    assert (await platform.net(), await platform.net(account.id)) == (1_680 - 10_000, 8_000)


async def test_refund_above_the_captured_amount_is_refused(platform: Platform) -> None:
    intent = await platform.paid(5_000)
    with pytest.raises(InvalidRequestError, match="greater than unrefunded amount") as refused:
        await platform.stripe.v1.refunds.create_async({"payment_intent": intent.id, "amount": 5_001})
    assert refused.value.param == "amount"
    await platform.stripe.v1.refunds.create_async({"payment_intent": intent.id})
    with pytest.raises(InvalidRequestError) as again:
        await platform.stripe.v1.refunds.create_async({"payment_intent": intent.id})
    assert again.value.code == "charge_already_refunded"


async def test_fee_refund_requires_a_reversal(platform: Platform) -> None:
    account = await platform.account()
    with_fee = await platform.destination_hold(account.id)
    await platform.stripe.v1.payment_intents.capture_async(with_fee.id)
    with pytest.raises(InvalidRequestError):
        await platform.stripe.v1.refunds.create_async({"payment_intent": with_fee.id, "refund_application_fee": True})
    assert await platform.net(account.id) == 8_000


async def test_fee_refund_is_accepted_where_no_fee_was_taken(platform: Platform) -> None:
    account = await platform.account()
    plain = await platform.paid()
    await platform.stripe.v1.refunds.create_async({"payment_intent": plain.id, "refund_application_fee": True})
    transferred = await platform.paid(transfer_data={"destination": account.id})
    await platform.stripe.v1.refunds.create_async(
        {"payment_intent": transferred.id, "amount": 4_000, "refund_application_fee": True, "reverse_transfer": True}
    )
    [transfer] = (await platform.stripe.v1.transfers.list_async()).data
    await platform.stripe.v1.transfers.reversals.create_async(
        transfer.id, {"amount": 1_000, "refund_application_fee": True}
    )
    assert await platform.net(account.id) == 5_000


async def test_refunded_fee_is_a_transaction_of_its_own_on_both_accounts(platform: Platform) -> None:
    account = await platform.account()
    intent = await platform.paid(application_fee_amount=2_000, transfer_data={"destination": account.id})
    await platform.stripe.v1.refunds.create_async(
        {"payment_intent": intent.id, "amount": 5_000, "reverse_transfer": True, "refund_application_fee": True}
    )
    assert (await platform.balance_transactions())[-3:] == [
        ("refund", -5_000, 0),
        ("application_fee_refund", -1_000, 0),
        ("transfer_refund", 5_000, 0),
    ]
    assert await platform.balance_transactions(account.id) == [
        ("payment", 10_000, 2_000),
        ("application_fee_refund", 1_000, 0),
        ("payment_refund", -5_000, 0),
    ]


async def test_sources_of_reversed_transfers_and_refunded_fees_are_the_transfer_and_the_fee(
    platform: Platform,
) -> None:
    account = await platform.account()
    intent = await platform.paid(application_fee_amount=2_000, transfer_data={"destination": account.id})
    await platform.stripe.v1.refunds.create_async(
        {"payment_intent": intent.id, "reverse_transfer": True, "refund_application_fee": True}
    )
    for type_, kind, step in (
        ("transfer_refund", "transfer", "transfer"),
        ("application_fee_refund", "application_fee", "fee"),
    ):
        [line] = (
            await platform.stripe.v1.balance_transactions.list_async({"type": type_, "expand": ["data.source"]})
        ).data
        assert line.source is not None
        assert not isinstance(line.source, str)
        assert line.source.object == kind
        with pytest.raises(InvalidRequestError, match="cannot be expanded"):
            await platform.stripe.v1.balance_transactions.list_async({"type": type_, "expand": [f"data.source.{step}"]})


async def test_destination_without_active_transfers_is_refused(platform: Platform) -> None:
    account = await platform.account(onboarded=False)
    with pytest.raises(InvalidRequestError) as refused:
        await platform.destination_hold(account.id)
    assert refused.value.code == "insufficient_capabilities_for_transfer"
    with pytest.raises(InvalidRequestError) as unknown:
        await platform.destination_hold("acct_1Nobody")
    assert unknown.value.code == "resource_missing"


async def test_fee_without_a_destination_or_above_the_amount_is_refused(platform: Platform) -> None:
    account = await platform.account()
    with pytest.raises(InvalidRequestError) as no_destination:
        await platform.hold(application_fee_amount=100)
    assert no_destination.value.param == "application_fee_amount"
    with pytest.raises(InvalidRequestError) as too_much:
        await platform.destination_hold(account.id, amount=1_000, fee=1_001)
    assert too_much.value.code == "amount_too_large"


async def test_events_are_emitted_for_both_accounts(platform: Platform) -> None:
    account = await platform.account()
    intent = await platform.destination_hold(account.id)
    await platform.stripe.v1.payment_intents.capture_async(intent.id)
    assert await platform.event_types() == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "transfer.created",
        "application_fee.created",
        "charge.captured",
        "payment_intent.succeeded",
    ]
    assert await platform.event_types(account.id) == ["account.updated", "capability.updated"]


async def test_asynchronous_capture_is_posted_after_the_response(platform: Platform) -> None:
    account = await platform.account()
    intent = await platform.paid(
        application_fee_amount=2_000, transfer_data={"destination": account.id}, expand=["latest_charge"]
    )
    charge = intent.latest_charge
    assert isinstance(charge, Charge)
    assert (intent.capture_method, intent.status, charge.captured) == ("automatic_async", "succeeded", True)
    assert (charge.balance_transaction, charge.application_fee) == (None, None)
    posted = await platform.stripe.v1.charges.retrieve_async(charge.id)
    assert isinstance(posted.balance_transaction, str)
    assert isinstance(posted.application_fee, str)
    assert (await platform.net(), await platform.net(account.id)) == (1_680, 8_000)
    assert (await platform.event_types())[-1] == "charge.updated"


async def test_refund_reverses_at_most_the_rest_of_the_transfer(platform: Platform) -> None:
    account = await platform.account()
    intent = await platform.paid(transfer_data={"destination": account.id}, expand=["latest_charge"])
    [transfer] = (await platform.stripe.v1.transfers.list_async()).data
    await platform.stripe.v1.transfers.reversals.create_async(transfer.id, {"amount": 9_000})
    await platform.stripe.v1.refunds.create_async({"payment_intent": intent.id, "reverse_transfer": True})
    transfer = await platform.stripe.v1.transfers.retrieve_async(transfer.id)
    assert (transfer.amount_reversed, transfer.reversed, await platform.net(account.id)) == (10_000, True, 0)
