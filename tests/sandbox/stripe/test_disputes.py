"""Disputes: the platform pays, answers, wins or loses."""

import pytest
from stripe import Dispute, InvalidRequestError

from tests.sandbox.stripe.platform import Shop

DAY = 86_400


async def _disputed(shop: Shop, account: str | None = None) -> Dispute:
    if account:
        intent = await shop.paid(
            payment_method="pm_card_createDispute",
            application_fee_amount=2_000,
            transfer_data={"destination": account},
        )
    else:
        intent = await shop.paid(payment_method="pm_card_createDispute")
    [dispute] = (await shop.stripe.v1.disputes.list_async({"payment_intent": intent.id})).data
    return dispute


async def test_a_dispute_debits_the_platform_and_reverses_no_transfer(shop: Shop) -> None:
    account = await shop.account()
    dispute = await _disputed(shop, account.id)
    assert (dispute.status, dispute.amount, dispute.reason) == ("needs_response", 10_000, "fraudulent")
    assert (await shop.net(), await shop.net(account.id)) == (1_680 - 10_000 - 1_500, 8_000)
    assert (await shop.event_types())[-2:] == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    with pytest.raises(InvalidRequestError) as refused:
        await shop.stripe.v1.refunds.create_async({"charge": str(dispute.charge)})
    assert refused.value.code == "charge_disputed"


@pytest.mark.parametrize(
    ("evidence", "status", "back"), [("winning_evidence", "won", 10_000), ("losing_evidence", "lost", 0)]
)
async def test_evidence_decides_it(shop: Shop, evidence: str, status: str, back: int) -> None:
    dispute = await _disputed(shop)
    before = await shop.net()
    dispute = await shop.stripe.v1.disputes.update_async(
        dispute.id, {"evidence": {"uncategorized_text": evidence}, "submit": True}
    )
    assert (dispute.status, await shop.net() - before) == (status, back)
    assert (await shop.event_types())[-1] == "charge.dispute.closed"
    with pytest.raises(InvalidRequestError):
        await shop.stripe.v1.disputes.close_async(dispute.id)


async def test_silence_loses_it(shop: Shop) -> None:
    dispute = await _disputed(shop)
    await shop.advance(9 * DAY)
    assert (await shop.stripe.v1.disputes.retrieve_async(dispute.id)).status == "lost"


async def test_a_dispute_can_be_opened_for_any_charge(shop: Shop) -> None:
    intent = await shop.paid()
    opened = await shop.control("POST", "/disputes", {"charge": intent.latest_charge, "reason": "product_not_received"})
    closed = await shop.stripe.v1.disputes.close_async(opened["id"])
    assert (closed.status, closed.reason) == ("lost", "product_not_received")
