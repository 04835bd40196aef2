"""Payouts to connected accounts: daily, manual and failed."""

import pytest
from stripe import InvalidRequestError

from tests.sandbox.stripe.platform import Platform

DAY = 86_400
SETTLED = 3 * DAY


async def _earned(platform: Platform, account: str, amount: int = 10_000, fee: int = 2_000) -> None:
    await platform.paid(amount, application_fee_amount=fee, transfer_data={"destination": account})


async def test_daily_payout_lists_its_transactions(platform: Platform) -> None:
    account = await platform.account()
    await _earned(platform, account.id)
    await _earned(platform, account.id, 5_000, 1_000)
    await platform.advance(SETTLED)
    [payout] = (await platform.stripe.v1.payouts.list_async({}, {"stripe_account": account.id})).data
    assert (payout.amount, payout.automatic, payout.status) == (12_000, True, "in_transit")
    lines = await platform.stripe.v1.balance_transactions.list_async(
        {"payout": payout.id, "expand": ["data.source"]}, {"stripe_account": account.id}
    )
    assert sorted((line.type, line.net) for line in lines.data) == [
        ("payment", 4_000),
        ("payment", 8_000),
        ("payout", -12_000),
    ]
    assert await platform.net(account.id) == 0
    await platform.advance(2 * DAY)
    paid = await platform.stripe.v1.payouts.retrieve_async(payout.id, options={"stripe_account": account.id})
    assert paid.status == "paid"
    assert (await platform.event_types(account.id))[-3:] == [
        "payout.created",
        "payout.reconciliation_completed",
        "payout.paid",
    ]


async def test_money_becomes_available_at_a_midnight_and_is_paid_out_then(platform: Platform) -> None:
    account = await platform.account()
    as_account = {"stripe_account": account.id}
    start = (await platform.control("GET", "/clock"))["now"] // DAY * DAY + DAY
    # At noon, a charge that takes two days, and one that is available at once, with its refund.
    await platform.control("POST", "/clock", {"to": start + DAY // 2})
    await _earned(platform, account.id)
    intent = await platform.paid(payment_method="pm_card_bypassPending")
    await platform.stripe.v1.refunds.create_async({"payment_intent": intent.id, "amount": 1_000})
    listed = (await platform.stripe.v1.balance_transactions.list_async({"limit": 100})).data
    assert {line.available_on for line in listed} == {start, start + 2 * DAY}
    await platform.control("POST", "/clock", {"to": start + 2 * DAY - 1})
    assert (await platform.stripe.v1.payouts.list_async({}, as_account)).data == []  # type: ignore[arg-type]
    await platform.control("POST", "/clock", {"to": start + 2 * DAY})
    [payout] = (await platform.stripe.v1.payouts.list_async({}, as_account)).data  # type: ignore[arg-type]
    assert payout.amount == 8_000


async def test_failed_payout_returns_the_money_and_disables_the_bank_account(platform: Platform) -> None:
    account = await platform.account()
    await platform.stripe.v1.accounts.external_accounts.create_async(
        account.id, {"external_account": "btok_us_accountClosed"}
    )
    await _earned(platform, account.id)
    await platform.advance(SETTLED + 2 * DAY)
    [failed] = (await platform.stripe.v1.payouts.list_async({}, {"stripe_account": account.id})).data
    assert (failed.status, failed.failure_code) == ("failed", "account_closed")
    assert await platform.net(account.id) == 8_000
    stopped = await platform.stripe.v1.accounts.retrieve_async(account.id)
    assert stopped.payouts_enabled is False
    assert stopped.requirements is not None
    assert stopped.requirements.currently_due == ["external_account"]
    assert stopped.capabilities is not None
    assert stopped.capabilities.transfers == "active"
    await platform.stripe.v1.accounts.external_accounts.create_async(
        account.id, {"external_account": "btok_us_verified"}
    )
    await platform.advance(3 * DAY)
    payouts = (await platform.stripe.v1.payouts.list_async({}, {"stripe_account": account.id})).data
    assert [payout.status for payout in payouts] == ["paid", "failed"]


async def test_paid_payout_can_still_fail(platform: Platform) -> None:
    account = await platform.account()
    await _earned(platform, account.id)
    await platform.advance(SETTLED + 2 * DAY)
    [payout] = (await platform.stripe.v1.payouts.list_async({}, {"stripe_account": account.id})).data
    await platform.control("POST", f"/payouts/{payout.id}/fail", {"failure_code": "could_not_process"})
    failed = await platform.stripe.v1.payouts.retrieve_async(payout.id, options={"stripe_account": account.id})
    assert (failed.status, await platform.net(account.id)) == ("failed", 8_000)


async def test_manual_payout_is_limited_to_the_available_balance(platform: Platform) -> None:
    account = await platform.account()
    as_account = {"stripe_account": account.id}
    await platform.stripe.v1.accounts.update_async(
        account.id, {"settings": {"payouts": {"schedule": {"interval": "manual"}}}}
    )
    await _earned(platform, account.id)
    with pytest.raises(InvalidRequestError) as pending:
        await platform.stripe.v1.payouts.create_async({"amount": 1, "currency": "usd"}, as_account)  # type: ignore[arg-type]
    assert pending.value.code == "balance_insufficient"
    await platform.advance(SETTLED)
    payout = await platform.stripe.v1.payouts.create_async({"amount": 3_000, "currency": "usd"}, as_account)  # type: ignore[arg-type]
    assert (payout.automatic, payout.status, await platform.net(account.id)) == (False, "pending", 5_000)
    cancelled = await platform.stripe.v1.payouts.cancel_async(payout.id, options=as_account)  # type: ignore[arg-type]
    assert (cancelled.status, await platform.net(account.id)) == ("canceled", 8_000)
    with pytest.raises(InvalidRequestError):
        await platform.stripe.v1.balance_transactions.list_async({"payout": payout.id}, as_account)  # type: ignore[arg-type]
