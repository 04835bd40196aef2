"""Early fraud warnings: opened by the bank, and without a call to act once the charge is refunded or disputed."""

import pytest
from stripe import InvalidRequestError
from stripe.radar import EarlyFraudWarning

from tests.sandbox.stripe.platform import Platform

CREATED, UPDATED = "radar.early_fraud_warning.created", "radar.early_fraud_warning.updated"


async def _warned(platform: Platform) -> EarlyFraudWarning:
    intent = await platform.paid(payment_method="pm_card_createIssuerFraudRecord")
    found = await platform.stripe.v1.radar.early_fraud_warnings.list_async({"payment_intent": intent.id})
    [warning] = found.data
    return warning


async def test_test_card_gets_a_warning_that_moves_no_money(platform: Platform) -> None:
    warning = await _warned(platform)
    assert (warning.actionable, warning.fraud_type) == (True, "unauthorized_use_of_card")
    assert await platform.net() == 9_680
    assert (await platform.event_types())[-1] == CREATED
    retrieved = await platform.stripe.v1.radar.early_fraud_warnings.retrieve_async(warning.id, {"expand": ["charge"]})
    assert not isinstance(retrieved.charge, str)
    assert retrieved.charge.id == warning.charge
    with pytest.raises(InvalidRequestError):
        await platform.stripe.v1.radar.early_fraud_warnings.retrieve_async("issfr_none")


@pytest.mark.parametrize(("settled_by", "actionable"), [("part", True), ("refund", False), ("dispute", False)])
async def test_warning_is_not_actionable_after_a_full_refund_or_a_dispute(
    platform: Platform, settled_by: str, actionable: bool
) -> None:
    warning = await _warned(platform)
    if settled_by == "dispute":
        await platform.control("POST", "/disputes", {"charge": warning.charge})
    else:
        amount = 10_000 if settled_by == "refund" else 4_000
        await platform.stripe.v1.refunds.create_async({"charge": str(warning.charge), "amount": amount})
    warning = await platform.stripe.v1.radar.early_fraud_warnings.retrieve_async(warning.id)
    assert warning.actionable is actionable
    assert (await platform.event_types()).count(UPDATED) == (not actionable)


async def test_control_api_warns_of_any_charge(platform: Platform) -> None:
    intent = await platform.hold()
    opened = await platform.control("POST", "/early_fraud_warnings", {"charge": intent.latest_charge})
    assert (opened["payment_intent"], opened["fraud_type"]) == (intent.id, "misc")
