"""Pending refunds, and refunds that the cardholder's bank returns."""

import pytest
from stripe import InvalidRequestError, Refund

from tests.sandbox.stripe.platform import Platform

DAY = 86_400


async def refunded(platform: Platform, card: str, amount: int = 4_000) -> Refund:
    account = await platform.account()
    intent = await platform.paid(
        payment_method=card, application_fee_amount=2_000, transfer_data={"destination": account.id}
    )
    return await platform.stripe.v1.refunds.create_async(
        {"payment_intent": intent.id, "amount": amount, "reverse_transfer": True, "refund_application_fee": True}
    )


async def test_pending_refund_succeeds_automatically(platform: Platform) -> None:
    refund = await refunded(platform, "pm_card_pendingRefund")
    assert (refund.status, refund.pending_reason) == ("pending", "processing")
    await platform.advance(60)
    assert (await platform.stripe.v1.refunds.retrieve_async(refund.id)).status == "succeeded"
    assert (await platform.event_types())[-1] == "refund.updated"


async def test_failed_refund_returns_the_money_and_keeps_the_reversal(platform: Platform) -> None:
    refund = await refunded(platform, "pm_card_refundFail")
    assert refund.status == "succeeded"
    before = await platform.net()
    await platform.advance(60)
    failed = await platform.stripe.v1.refunds.retrieve_async(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert failed.failure_balance_transaction
    assert await platform.net() - before == 4_000
    assert (await platform.event_types())[-3:] == ["refund.updated", "charge.refund.updated", "refund.failed"]
    # The charge can be refunded again, and the transfer stays reversed.
    charge = await platform.stripe.v1.charges.retrieve_async(str(refund.charge), {"expand": ["transfer"]})
    assert (charge.amount_refunded, charge.refunded) == (0, False)
    assert charge.transfer.amount_reversed == 4_000  # type: ignore[union-attr]


@pytest.mark.parametrize("card", ["pm_card_visa", "pm_card_pendingRefund"])
async def test_succeeded_refund_gets_its_reference_later(platform: Platform, card: str) -> None:
    refund = await refunded(platform, card)
    await platform.advance(2 * 86_400)
    later = await platform.stripe.v1.refunds.retrieve_async(refund.id)
    assert later.destination_details is not None
    assert later.destination_details.card is not None
    assert later.destination_details.card.reference_status == "available"
    assert later.destination_details.card.reference
    assert later.status == "succeeded"
    assert (await platform.event_types())[-2:] == ["refund.updated", "charge.refund.updated"]


async def test_failed_refund_gets_no_reference(platform: Platform) -> None:
    await refunded(platform, "pm_card_refundFail")
    await platform.advance(2 * 86_400)
    assert (await platform.event_types())[-1] == "refund.failed"


@pytest.mark.parametrize("action", ["succeed", "fail"])
async def test_failed_refund_is_final(platform: Platform, action: str) -> None:
    refund = await refunded(platform, "pm_card_pendingRefund")
    await platform.control("POST", f"/refunds/{refund.id}/fail", {"failure_reason": "lost_or_stolen_card"})
    refused = await platform.browser.post(f"/_sandbox/refunds/{refund.id}/{action}", content="{}")
    assert refused.status_code == 400
    # Its timer does nothing, either.
    await platform.advance(60)
    assert (await platform.stripe.v1.refunds.retrieve_async(refund.id)).failure_reason == "lost_or_stolen_card"


async def test_disputed_charge_cannot_be_refunded(platform: Platform) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        await refunded(platform, "pm_card_createDispute")
    assert refused.value.code == "charge_disputed"


async def _waiting(platform: Platform, card: str = "pm_card_visa") -> Refund:
    """A refund of 100.00 from a balance of 96.80."""
    await platform.control("POST", "/refunds", {"wait_for_balance": True})
    intent = await platform.paid(payment_method=card)
    refund = await platform.stripe.v1.refunds.create_async({"payment_intent": intent.id})
    assert (refund.status, refund.pending_reason, refund.balance_transaction) == ("pending", "insufficient_funds", None)
    assert await platform.net() == 9_680
    return refund


async def test_refund_waits_until_the_balance_covers_it(platform: Platform) -> None:
    refund = await _waiting(platform)
    await platform.advance(DAY)
    assert (await platform.stripe.v1.refunds.retrieve_async(refund.id)).status == "pending"
    await platform.paid(1_000)
    await platform.advance(DAY)
    refund = await platform.stripe.v1.refunds.retrieve_async(refund.id)
    assert (refund.status, refund.balance_transaction is None) == ("succeeded", False)
    assert await platform.net() == 9_680 + 941 - 10_000
    assert (await platform.event_types())[-2:] == ["refund.updated", "charge.refund.updated"]


async def test_refund_that_waited_takes_its_time_at_the_bank(platform: Platform) -> None:
    refund = await _waiting(platform, "pm_card_pendingRefund")
    await platform.paid(1_000)
    await platform.advance(DAY)
    refund = await platform.stripe.v1.refunds.retrieve_async(refund.id)
    assert (refund.status, refund.pending_reason, refund.balance_transaction is None) == (
        "pending",
        "processing",
        False,
    )
    await platform.advance(60)
    assert (await platform.stripe.v1.refunds.retrieve_async(refund.id)).status == "succeeded"


async def test_refund_that_the_balance_covers_does_not_wait(platform: Platform) -> None:
    await platform.control("POST", "/refunds", {"wait_for_balance": True})
    intent = await platform.paid()
    refund = await platform.stripe.v1.refunds.create_async({"payment_intent": intent.id, "amount": 9_680})
    assert (refund.status, await platform.net()) == ("succeeded", 0)


@pytest.mark.parametrize(("act", "status", "net"), [("succeed", "succeeded", -320), ("fail", "failed", 9_680)])
async def test_waiting_refund_succeeds_or_fails_on_demand(platform: Platform, act: str, status: str, net: int) -> None:
    refund = await _waiting(platform)
    await platform.control("POST", f"/refunds/{refund.id}/{act}")
    assert (await platform.stripe.v1.refunds.retrieve_async(refund.id)).status == status
    assert await platform.net() == net
    await platform.advance(3 * DAY)
    assert await platform.net() == net


async def test_dispute_makes_a_waiting_refund_fail(platform: Platform) -> None:
    refund = await _waiting(platform)
    dispute = await platform.control("POST", "/disputes", {"charge": refund.charge})
    assert dispute["amount"] == 10_000
    refund = await platform.stripe.v1.refunds.retrieve_async(refund.id)
    assert (refund.status, refund.failure_reason) == ("failed", "charge_for_pending_refund_disputed")
    assert await platform.net() == 9_680 - 10_000 - 1_500
