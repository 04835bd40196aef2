"""Checkout Sessions and their page."""

import time

import pytest
from stripe import InvalidRequestError, PaymentIntent

from tests.sandbox.stripe.platform import CARD_REQUIRING_3DS, DECLINED_CARD, Platform

MINUTE, DAY = 60, 86_400


async def test_payment_places_a_hold_and_redirects_to_the_success_url(platform: Platform) -> None:
    account = await platform.account()
    session = await platform.checkout(
        payment_intent_data={
            "capture_method": "manual",
            "application_fee_amount": 2_000,
            "transfer_data": {"destination": account.id},
            "metadata": {"booking": "b1"},
        },
        client_reference_id="b1",
        metadata={"where": "session"},
        custom_text={"submit": {"message": "20.00 USD of this is the platform's fee."}},
    )
    assert session.url is not None
    page = await platform.browser.get(session.url)
    assert "SANDBOX" in page.text
    assert "$100.00" in page.text
    assert "20.00 USD of this is the platform" in page.text
    paid = await platform.submit(session)
    assert (paid.status_code, paid.headers["location"]) == (303, f"https://shop.test/paid?session={session.id}")
    done = await platform.stripe.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["payment_intent"]})
    intent = done.payment_intent
    assert isinstance(intent, PaymentIntent)
    assert (done.status, done.payment_status, done.url) == ("complete", "unpaid", None)
    assert (intent.status, intent.metadata["booking"], intent.application_fee_amount) == (
        "requires_capture",
        "b1",
        2_000,
    )
    await platform.stripe.v1.payment_intents.capture_async(intent.id)
    done = await platform.stripe.v1.checkout.sessions.retrieve_async(session.id)
    assert done.payment_status == "paid"


async def test_session_stays_open_after_a_decline(platform: Platform) -> None:
    session = await platform.checkout(payment_intent_data={"capture_method": "manual"})
    refused = await platform.submit(session, DECLINED_CARD)
    assert refused.status_code == 402
    assert "Your card was declined." in refused.text
    open_session = await platform.stripe.v1.checkout.sessions.retrieve_async(session.id)
    assert open_session.status == "open"
    assert (await platform.submit(session)).status_code == 303
    done = await platform.stripe.v1.checkout.sessions.retrieve_async(session.id)
    assert (done.status, done.payment_intent) == ("complete", open_session.payment_intent)
    assert await platform.event_types() == [
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "checkout.session.completed",
    ]


async def test_session_is_paid_once(platform: Platform) -> None:
    session = await platform.checkout()
    await platform.submit(session)
    again = await platform.submit(session)
    assert again.status_code == 200
    assert "already paid" in again.text
    charges = await platform.stripe.v1.charges.list_async()
    assert len(charges.data) == 1


async def test_session_expires_on_request_and_when_due(platform: Platform) -> None:
    by_request, by_time = await platform.checkout(), await platform.checkout(expires_at=int(time.time()) + 31 * MINUTE)
    expired = await platform.stripe.v1.checkout.sessions.expire_async(by_request.id)
    assert (expired.status, expired.url) == ("expired", None)
    with pytest.raises(InvalidRequestError):
        await platform.stripe.v1.checkout.sessions.expire_async(by_request.id)
    await platform.advance(31 * MINUTE)
    late = await platform.submit(by_time)
    assert late.status_code == 410
    assert (await platform.event_types()) == ["checkout.session.expired", "checkout.session.expired"]


async def test_a_session_can_be_made_by_real_time_after_the_clock_was_advanced(platform: Platform) -> None:
    await platform.advance(7 * DAY)
    expires_at = int(time.time()) + 31 * MINUTE
    session = await platform.checkout(expires_at=expires_at)
    assert session.expires_at == expires_at
    await platform.advance(30 * MINUTE)
    assert (await platform.stripe.v1.checkout.sessions.retrieve_async(session.id)).status == "open"
    await platform.advance(1 * MINUTE)
    assert (await platform.stripe.v1.checkout.sessions.retrieve_async(session.id)).status == "expired"
    with pytest.raises(InvalidRequestError):
        await platform.checkout(expires_at=int(time.time()) + 29 * MINUTE)


@pytest.mark.parametrize("minutes", [29, 24 * 60 + 1])
async def test_expires_at_out_of_range_is_refused(platform: Platform, minutes: int) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        await platform.checkout(expires_at=int(time.time()) + minutes * MINUTE)
    assert refused.value.param == "expires_at"


async def test_expired_session_cancels_its_intent(platform: Platform) -> None:
    session = await platform.checkout()
    await platform.submit(session, DECLINED_CARD)
    await platform.stripe.v1.checkout.sessions.expire_async(session.id, {"expand": ["payment_intent"]})
    session = await platform.stripe.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["payment_intent"]})
    assert isinstance(session.payment_intent, PaymentIntent)
    assert session.payment_intent.status == "canceled"


async def test_intent_of_an_open_session_cannot_be_cancelled_directly(platform: Platform) -> None:
    session = await platform.checkout()
    await platform.submit(session, DECLINED_CARD)
    session = await platform.stripe.v1.checkout.sessions.retrieve_async(session.id)
    assert isinstance(session.payment_intent, str)
    with pytest.raises(InvalidRequestError) as refused:
        await platform.stripe.v1.payment_intents.cancel_async(session.payment_intent)
    assert refused.value.code == "payment_intent_unexpected_state"


async def test_sessions_are_listed_by_customer_and_by_intent(platform: Platform) -> None:
    customer = await platform.stripe.v1.customers.create_async({"email": "ada@student.test"})
    mine, _ = await platform.checkout(customer=customer.id), await platform.checkout()
    await platform.submit(mine)
    mine = await platform.stripe.v1.checkout.sessions.retrieve_async(mine.id)
    by_customer = await platform.stripe.v1.checkout.sessions.list_async({"customer": customer.id})
    assert isinstance(mine.payment_intent, str)
    by_intent = await platform.stripe.v1.checkout.sessions.list_async({"payment_intent": mine.payment_intent})
    assert [session.id for session in by_customer.data] == [session.id for session in by_intent.data] == [mine.id]


@pytest.mark.parametrize(("outcome", "status"), [("complete", "complete"), ("fail", "open")])
async def test_card_requiring_3d_secure_is_challenged(platform: Platform, outcome: str, status: str) -> None:
    session = await platform.checkout(payment_intent_data={"capture_method": "manual"})
    submitted = await platform.submit(session, CARD_REQUIRING_3DS)
    assert (submitted.status_code, submitted.headers["location"].endswith("/challenge")) == (303, True)
    challenge = f"{session.url}/challenge"
    assert "3-D Secure" in (await platform.browser.get(challenge)).text
    await platform.browser.post(challenge, data={"outcome": outcome})
    assert (await platform.stripe.v1.checkout.sessions.retrieve_async(session.id)).status == status
