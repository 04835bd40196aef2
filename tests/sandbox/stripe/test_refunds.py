"""Refunds that wait, and refunds that the card holder's bank sends back."""

import pytest
from stripe import InvalidRequestError, Refund

from tests.sandbox.stripe.platform import Platform


async def refunded(platform: Platform, card: str, amount: int = 4_000) -> Refund:
    account = await platform.account()
    intent = await platform.paid(
        payment_method=card, application_fee_amount=2_000, transfer_data={"destination": account.id}
    )
    return await platform.stripe.v1.refunds.create_async(
        {"payment_intent": intent.id, "amount": amount, "reverse_transfer": True, "refund_application_fee": True}
    )


async def test_a_refund_that_waits_arrives_by_itself(platform: Platform) -> None:
    refund = await refunded(platform, "pm_card_pendingRefund")
    assert (refund.status, refund.pending_reason) == ("pending", "processing")
    await platform.advance(60)
    assert (await platform.stripe.v1.refunds.retrieve_async(refund.id)).status == "succeeded"
    assert (await platform.event_types())[-1] == "refund.updated"


async def test_a_refund_that_comes_back_gives_the_platform_its_money_and_reverses_nothing(platform: Platform) -> None:
    refund = await refunded(platform, "pm_card_refundFail")
    assert refund.status == "succeeded"
    before = await platform.net()
    await platform.advance(60)
    failed = await platform.stripe.v1.refunds.retrieve_async(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert failed.failure_balance_transaction
    assert await platform.net() - before == 4_000
    assert (await platform.event_types())[-3:] == ["refund.updated", "charge.refund.updated", "refund.failed"]
    # It can be made again, and the transfer is as it was.
    charge = await platform.stripe.v1.charges.retrieve_async(str(refund.charge), {"expand": ["transfer"]})
    assert (charge.amount_refunded, charge.refunded) == (0, False)
    assert charge.transfer.amount_reversed == 4_000  # type: ignore[union-attr]


@pytest.mark.parametrize("act", ["succeed", "fail"])
async def test_a_refund_that_is_over_goes_no_further(platform: Platform, act: str) -> None:
    refund = await refunded(platform, "pm_card_pendingRefund")
    await platform.control("POST", f"/refunds/{refund.id}/fail", {"failure_reason": "lost_or_stolen_card"})
    refused = await platform.browser.post(f"/_sandbox/refunds/{refund.id}/{act}", content="{}")
    assert refused.status_code == 400
    # Time brings nothing about for it, either.
    await platform.advance(60)
    assert (await platform.stripe.v1.refunds.retrieve_async(refund.id)).failure_reason == "lost_or_stolen_card"


async def test_a_disputed_charge_is_not_refunded(platform: Platform) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        await refunded(platform, "pm_card_createDispute")
    assert refused.value.code == "charge_disputed"
