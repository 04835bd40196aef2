"""The lifecycle of a hold: authorized, captured once, cancelled or expired."""

import pytest
from stripe import CardError, InvalidRequestError

from tests.sandbox.stripe.platform import Platform

DAY = 86_400


async def test_hold_is_captured_once(platform: Platform) -> None:
    intent = await platform.hold()
    assert (intent.status, intent.amount_capturable, intent.amount_received) == ("requires_capture", 10_000, 0)
    with pytest.raises(InvalidRequestError) as too_much:
        await platform.stripe.v1.payment_intents.capture_async(intent.id, {"amount_to_capture": 10_001})
    assert too_much.value.code == "amount_too_large"
    await platform.stripe.v1.payment_intents.capture_async(intent.id)
    with pytest.raises(InvalidRequestError) as twice:
        await platform.stripe.v1.payment_intents.capture_async(intent.id)
    assert twice.value.code == "payment_intent_unexpected_state"
    assert twice.value.error is not None
    assert twice.value.error.payment_intent is not None
    assert twice.value.error.payment_intent.status == "succeeded"


async def test_cancelled_hold_moves_no_money_and_creates_no_refund(platform: Platform) -> None:
    intent = await platform.hold()
    cancelled = await platform.stripe.v1.payment_intents.cancel_async(intent.id, {"cancellation_reason": "abandoned"})
    assert (cancelled.status, cancelled.cancellation_reason) == ("canceled", "abandoned")
    refunds = await platform.stripe.v1.refunds.list_async({"payment_intent": intent.id})
    assert (refunds.data, await platform.balance_transactions()) == ([], [])
    with pytest.raises(InvalidRequestError) as late:
        await platform.stripe.v1.payment_intents.capture_async(intent.id)
    assert late.value.code == "payment_intent_unexpected_state"


async def test_hold_expires_at_capture_before(platform: Platform) -> None:
    intent = await platform.hold(expand=["latest_charge"])
    charge = intent.latest_charge
    assert charge is not None
    assert not isinstance(charge, str)
    assert charge.payment_method_details is not None
    assert charge.payment_method_details.card is not None
    assert charge.payment_method_details.card.capture_before == charge.created + 7 * DAY
    await platform.advance(7 * DAY - 3600)
    assert (await platform.stripe.v1.payment_intents.retrieve_async(intent.id)).status == "requires_capture"
    await platform.advance(3600)
    expired = await platform.stripe.v1.payment_intents.retrieve_async(intent.id)
    assert (expired.status, expired.cancellation_reason) == ("canceled", "expired")
    assert (await platform.event_types())[-2:] == ["charge.expired", "payment_intent.canceled"]
    with pytest.raises(InvalidRequestError) as late:
        await platform.stripe.v1.payment_intents.capture_async(intent.id)
    assert late.value.code == "charge_expired_for_capture"


async def test_captured_and_released_charges_keep_capture_before(platform: Platform) -> None:
    captured, released = await platform.hold(), await platform.hold()
    await platform.stripe.v1.payment_intents.capture_async(captured.id)
    await platform.stripe.v1.payment_intents.cancel_async(released.id)
    for charge in (await platform.stripe.v1.charges.list_async()).data:
        assert charge.payment_method_details is not None
        assert charge.payment_method_details.card is not None
        assert charge.payment_method_details.card.capture_before == charge.created + 7 * DAY


async def test_off_session_visa_hold_is_shorter(platform: Platform) -> None:
    intent = await platform.hold(off_session=True)
    await platform.advance(4 * DAY + 18 * 3600)
    expired = await platform.stripe.v1.payment_intents.retrieve_async(intent.id)
    assert expired.status == "canceled"


async def test_decline_keeps_the_failed_charge_and_the_intent(platform: Platform) -> None:
    with pytest.raises(CardError) as declined:
        await platform.hold(payment_method="pm_card_visa_chargeDeclinedInsufficientFunds")
    error = declined.value.error
    assert error is not None
    assert error.payment_intent is not None
    assert (declined.value.http_status, error.code, error.decline_code) == (402, "card_declined", "insufficient_funds")
    intent = await platform.stripe.v1.payment_intents.retrieve_async(error.payment_intent.id)
    assert intent.status == "requires_payment_method"
    assert intent.last_payment_error is not None
    assert intent.last_payment_error.code == "card_declined"
    assert (await platform.event_types())[-2:] == ["charge.failed", "payment_intent.payment_failed"]
    again = await platform.stripe.v1.payment_intents.confirm_async(intent.id, {"payment_method": "pm_card_visa"})
    assert again.status == "requires_capture"


@pytest.mark.parametrize(
    ("card", "code", "decline_code", "advice_code", "param"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline", "try_again_later", None),
        ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card", "do_not_try_again", None),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card", "confirm_card_data", "exp_month"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc", "confirm_card_data", "cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error", "try_again_later", None),
    ],
)
async def test_decline_has_the_same_codes_everywhere(
    platform: Platform, card: str, code: str, decline_code: str, advice_code: str, param: str | None
) -> None:
    with pytest.raises(CardError) as declined:
        await platform.hold(payment_method=card)
    error = declined.value.error
    assert error is not None
    assert error.payment_intent is not None
    last = (await platform.stripe.v1.payment_intents.retrieve_async(error.payment_intent.id)).last_payment_error
    assert last is not None
    for where in (error, last):
        codes = (where.code, where.decline_code, where.advice_code, getattr(where, "param", None))
        assert codes == (code, decline_code, advice_code, param)
    [charge] = (await platform.stripe.v1.charges.list_async()).data
    assert charge.outcome is not None
    assert (charge.failure_code, charge.outcome.reason) == (code, decline_code)
    for name in ("advice_code", "network_advice_code", "network_decline_code"):
        assert getattr(charge.outcome, name) == getattr(error, name)


async def test_intent_is_hidden_from_other_accounts(platform: Platform) -> None:
    account = await platform.account()
    intent = await platform.hold()
    with pytest.raises(InvalidRequestError) as hidden:
        await platform.stripe.v1.payment_intents.retrieve_async(intent.id, options={"stripe_account": account.id})
    assert (hidden.value.http_status, hidden.value.code) == (404, "resource_missing")


@pytest.mark.parametrize(
    ("currency", "amount", "code"),
    [("usd", 49, "amount_too_small"), ("bhd", 1_005, None), ("ugx", 150, None)],
)
async def test_capture_of_an_amount_that_the_currency_does_not_take_is_refused(
    platform: Platform, currency: str, amount: int, code: str | None
) -> None:
    intent = await platform.hold(currency=currency)
    with pytest.raises(InvalidRequestError) as refused:
        await platform.stripe.v1.payment_intents.capture_async(intent.id, {"amount_to_capture": amount})
    assert (refused.value.param, refused.value.code) == ("amount_to_capture", code)
    assert (await platform.stripe.v1.payment_intents.retrieve_async(intent.id)).status == "requires_capture"


async def test_capture_with_a_fee_that_the_currency_does_not_take_is_refused(platform: Platform) -> None:
    account = await platform.account()
    intent = await platform.hold(currency="bhd", transfer_data={"destination": account.id}, application_fee_amount=100)
    with pytest.raises(InvalidRequestError) as refused:
        await platform.stripe.v1.payment_intents.capture_async(intent.id, {"application_fee_amount": 105})
    assert refused.value.param == "application_fee_amount"


@pytest.mark.parametrize("loss", ["inactive", "deleted"])
async def test_capture_to_an_account_without_transfers_is_refused(platform: Platform, loss: str) -> None:
    account = await platform.account()
    intent = await platform.destination_hold(account.id)
    if loss == "deleted":
        await platform.stripe.v1.accounts.delete_async(account.id)
    else:
        await platform.stripe.v1.accounts.update_async(
            account.id, {"capabilities": {"transfers": {"requested": False}}}
        )
    with pytest.raises(InvalidRequestError) as refused:
        await platform.stripe.v1.payment_intents.capture_async(intent.id)
    code = "resource_missing" if loss == "deleted" else "insufficient_capabilities_for_transfer"
    assert (refused.value.code, refused.value.param) == (code, "transfer_data[destination]")
    held = await platform.stripe.v1.payment_intents.retrieve_async(intent.id)
    assert (held.status, held.amount_capturable) == ("requires_capture", 10_000)
    cancelled = await platform.stripe.v1.payment_intents.cancel_async(intent.id)
    assert cancelled.status == "canceled"
