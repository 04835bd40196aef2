"""How long holds last: by payment method, with an extended authorization, and shorter than a week."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from stripe import Charge, InvalidRequestError, PaymentIntent

from tests.sandbox.stripe.platform import Json, Platform

DAY = 86_400
HOUR = 3_600
MANUAL = {"capture_method": "manual"}


async def _held(platform: Platform, method: str = "card", number: str = "4242424242424242", **more: Any) -> Charge:
    """The charge of a session that was paid with manual capture."""
    session = await platform.checkout(payment_intent_data=MANUAL, **more)
    await platform.control("POST", f"/checkout_sessions/{session.id}/pay", {"method": method, "number": number})
    session = await platform.stripe.v1.checkout.sessions.retrieve_async(
        session.id, {"expand": ["payment_intent.latest_charge"]}
    )
    assert isinstance(session.payment_intent, PaymentIntent)
    assert (session.status, session.payment_intent.status) == ("complete", "requires_capture")
    assert isinstance(session.payment_intent.latest_charge, Charge)
    return session.payment_intent.latest_charge


async def _status(platform: Platform, charge: Charge) -> str:
    return (await platform.stripe.v1.payment_intents.retrieve_async(str(charge.payment_intent))).status


@pytest.mark.parametrize(
    ("method", "currency", "country", "days"),
    [
        ("link", "usd", "US", 7),
        ("affirm", "usd", "US", 30),
        ("afterpay_clearpay", "usd", "US", 13),
        ("amazon_pay", "usd", "US", 7),
        ("cashapp", "usd", "US", 7),
        ("paypal", "eur", "FR", 10),
        ("revolut_pay", "eur", "FR", 7),
        ("mobilepay", "eur", "FR", 7),
        ("satispay", "eur", "FR", 7),
        ("alma", "eur", "FR", 7),
        ("billie", "eur", "FR", 7),
    ],
)
async def test_hold_ends_after_the_days_of_its_method(
    platform: Platform, method: str, currency: str, country: str, days: int
) -> None:
    await platform.control("POST", "/payment_methods", {"country": country})
    charge = await _held(platform, method, currency=currency)
    assert charge.payment_method_details is not None
    assert charge.payment_method_details.type == method
    assert "capture_before" not in str(charge)
    await platform.advance(days * DAY - 60)
    assert await _status(platform, charge) == "requires_capture"
    await platform.advance(60)
    intent = await platform.stripe.v1.payment_intents.retrieve_async(str(charge.payment_intent))
    assert (intent.status, intent.cancellation_reason) == ("canceled", "expired")
    assert (await platform.event_types())[-2:] == ["charge.expired", "payment_intent.canceled"]
    with pytest.raises(InvalidRequestError) as late:
        await platform.stripe.v1.payment_intents.capture_async(intent.id)
    assert late.value.code == "charge_expired_for_capture"
    assert await platform.net(currency=currency) == 0


async def test_klarna_holds_until_midnight_of_the_28th_day(platform: Platform) -> None:
    charge = await _held(platform, "klarna")
    first_midnight = datetime.fromtimestamp(charge.created, UTC).replace(hour=0, minute=0, second=0)
    end = int((first_midnight + timedelta(days=28)).timestamp())
    await platform.control("POST", "/clock", {"to": end - 60})
    assert await _status(platform, charge) == "requires_capture"
    await platform.control("POST", "/clock", {"to": end})
    assert await _status(platform, charge) == "canceled"


async def test_wallet_is_captured_in_part(platform: Platform) -> None:
    charge = await _held(platform, "klarna")
    await platform.advance(20 * DAY)
    captured = await platform.stripe.v1.payment_intents.capture_async(
        str(charge.payment_intent), {"amount_to_capture": 4_000}
    )
    assert (captured.status, captured.amount_received) == ("succeeded", 4_000)
    assert await platform.balance_transactions() == [("payment", 4_000, 270)]


async def test_hold_is_cancelled_in_the_dashboard(platform: Platform) -> None:
    charge = await _held(platform)
    await platform.control("POST", f"/payment_intents/{charge.payment_intent}/cancel", {})
    [cancelled] = [
        event
        for event in (await platform.stripe.v1.events.list_async({"type": "payment_intent.canceled"})).data
        if event.request is not None
    ]
    assert (cancelled.request.id, cancelled.request.idempotency_key) == (None, None)  # type: ignore[union-attr]
    with pytest.raises(InvalidRequestError) as late:
        await platform.stripe.v1.payment_intents.capture_async(str(charge.payment_intent))
    assert late.value.code == "payment_intent_unexpected_state"


EXTENSION = {"card": {"request_extended_authorization": "if_available"}}


@pytest.mark.parametrize(
    ("granted", "asked", "number", "seconds"),
    [
        (True, True, "4242424242424242", 29 * DAY + 18 * HOUR),
        (True, True, "5555555555554444", 30 * DAY),
        (True, True, "378282246310005", 7 * DAY),
        (True, False, "4242424242424242", 7 * DAY),
        (False, True, "4242424242424242", 7 * DAY),
    ],
    ids=["visa", "mastercard", "american express", "not asked for", "not in the contract"],
)
async def test_extended_authorization_is_granted_if_asked_for(
    platform: Platform, granted: bool, asked: bool, number: str, seconds: int
) -> None:
    await platform.control("POST", "/holds", {"extended": granted})
    more: Json = {"payment_method_options": EXTENSION} if asked else {}
    charge = await _held(platform, number=number, **more)
    assert charge.payment_method_details is not None
    card = charge.payment_method_details.card
    assert card is not None
    assert card.extended_authorization is not None
    status = "enabled" if seconds > 7 * DAY else "disabled"
    assert (card.capture_before, card.extended_authorization.status) == (charge.created + seconds, status)
    await platform.advance(seconds - 60)
    assert await _status(platform, charge) == "requires_capture"
    await platform.advance(60)
    assert await _status(platform, charge) == "canceled"


async def test_holds_on_cards_can_be_made_shorter(platform: Platform) -> None:
    seconds = 4 * DAY + 18 * HOUR
    await platform.control("POST", "/holds", {"card_seconds": seconds})
    charge = await _held(platform)
    await platform.control("POST", "/holds", {})
    week = await _held(platform)
    for held, lasts in ((charge, seconds), (week, 7 * DAY)):
        assert held.payment_method_details is not None
        assert held.payment_method_details.card is not None
        assert held.payment_method_details.card.capture_before == held.created + lasts
    await platform.advance(seconds)
    assert [await _status(platform, held) for held in (charge, week)] == ["canceled", "requires_capture"]
