"""Disputes: opened, responded to, won and lost."""

import pytest
from stripe import Dispute, InvalidRequestError

from tests.sandbox.stripe.platform import Platform

DAY = 86_400


async def _disputed(platform: Platform, account: str | None = None) -> Dispute:
    if account:
        intent = await platform.paid(
            payment_method="pm_card_createDispute",
            application_fee_amount=2_000,
            transfer_data={"destination": account},
        )
    else:
        intent = await platform.paid(payment_method="pm_card_createDispute")
    [dispute] = (await platform.stripe.v1.disputes.list_async({"payment_intent": intent.id})).data
    return dispute


async def test_dispute_debits_the_platform_and_reverses_no_transfer(platform: Platform) -> None:
    account = await platform.account()
    dispute = await _disputed(platform, account.id)
    assert (dispute.status, dispute.amount, dispute.reason) == ("needs_response", 10_000, "fraudulent")
    assert (await platform.net(), await platform.net(account.id)) == (1_680 - 10_000 - 1_500, 8_000)
    assert (await platform.event_types())[-2:] == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    with pytest.raises(InvalidRequestError) as refused:
        await platform.stripe.v1.refunds.create_async({"charge": str(dispute.charge)})
    assert refused.value.code == "charge_disputed"


@pytest.mark.parametrize(
    ("evidence", "status", "reinstated"), [("winning_evidence", "won", 10_000), ("losing_evidence", "lost", 0)]
)
async def test_evidence_decides_a_dispute(platform: Platform, evidence: str, status: str, reinstated: int) -> None:
    dispute = await _disputed(platform)
    before = await platform.net()
    dispute = await platform.stripe.v1.disputes.update_async(
        dispute.id, {"evidence": {"uncategorized_text": evidence}, "submit": True}
    )
    assert (dispute.status, await platform.net() - before) == (status, reinstated)
    assert dispute.is_charge_refundable is (status == "won")
    assert (await platform.event_types())[-1] == "charge.dispute.closed"
    with pytest.raises(InvalidRequestError):
        await platform.stripe.v1.disputes.close_async(dispute.id)


async def test_dispute_without_response_is_lost(platform: Platform) -> None:
    dispute = await _disputed(platform)
    await platform.advance(9 * DAY)
    assert (await platform.stripe.v1.disputes.retrieve_async(dispute.id)).status == "lost"


async def test_control_api_disputes_any_charge(platform: Platform) -> None:
    intent = await platform.paid()
    opened = await platform.control(
        "POST", "/disputes", {"charge": intent.latest_charge, "reason": "product_not_received"}
    )
    closed = await platform.stripe.v1.disputes.close_async(opened["id"])
    assert (closed.status, closed.reason) == ("lost", "product_not_received")


async def _inquired(platform: Platform) -> Dispute:
    intent = await platform.paid(payment_method="pm_card_createDisputeInquiry")
    [dispute] = (await platform.stripe.v1.disputes.list_async({"payment_intent": intent.id})).data
    return dispute


async def test_inquiry_withdraws_nothing_and_closes_after_120_days(platform: Platform) -> None:
    inquiry = await _inquired(platform)
    assert (inquiry.status, inquiry.is_charge_refundable, inquiry.balance_transactions) == (
        "warning_needs_response",
        True,
        [],
    )
    assert await platform.net() == 9_680
    assert "charge.dispute.funds_withdrawn" not in await platform.event_types()
    inquiry = await platform.stripe.v1.disputes.update_async(
        inquiry.id, {"evidence": {"uncategorized_text": "We met on Tuesday."}, "submit": True}
    )
    assert inquiry.status == "warning_under_review"
    await platform.advance(120 * DAY)
    assert (await platform.stripe.v1.disputes.retrieve_async(inquiry.id)).status == "warning_closed"
    assert (await platform.event_types()).count("charge.dispute.closed") == 1
    assert await platform.net() == 9_680


async def test_inquiry_without_response_is_past_due_and_stays_open(platform: Platform) -> None:
    inquiry = await _inquired(platform)
    await platform.advance(9 * DAY)
    inquiry = await platform.stripe.v1.disputes.retrieve_async(inquiry.id)
    assert (inquiry.status, inquiry.evidence_details.past_due) == ("warning_needs_response", True)


@pytest.mark.parametrize("by", ["evidence", "bank"])
async def test_escalated_inquiry_is_a_dispute_that_needs_a_response_of_its_own(platform: Platform, by: str) -> None:
    inquiry = await _inquired(platform)
    if by == "bank":
        await platform.control("POST", f"/disputes/{inquiry.id}/escalate")
    else:
        await platform.stripe.v1.disputes.update_async(
            inquiry.id, {"evidence": {"uncategorized_text": "escalate_inquiry_evidence"}, "submit": True}
        )
    dispute = await platform.stripe.v1.disputes.retrieve_async(inquiry.id)
    assert (dispute.status, dispute.is_charge_refundable) == ("needs_response", False)
    assert [line.amount for line in dispute.balance_transactions] == [-10_000]
    assert await platform.net() == 9_680 - 10_000 - 1_500
    with pytest.raises(InvalidRequestError) as refused:
        await platform.stripe.v1.refunds.create_async({"charge": str(dispute.charge)})
    assert refused.value.code == "charge_disputed"
    await platform.advance(9 * DAY)
    assert (await platform.stripe.v1.disputes.retrieve_async(inquiry.id)).status == "lost"


@pytest.mark.parametrize(("amount", "status"), [(10_000, "warning_closed"), (4_000, "warning_needs_response")])
async def test_full_refund_resolves_an_inquiry(platform: Platform, amount: int, status: str) -> None:
    inquiry = await _inquired(platform)
    await platform.stripe.v1.refunds.create_async({"charge": str(inquiry.charge), "amount": amount})
    assert (await platform.stripe.v1.disputes.retrieve_async(inquiry.id)).status == status
    assert await platform.net() == 9_680 - amount
