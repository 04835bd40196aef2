"""A second Checkout Session for a booking whose hold is too short, and a clock that moves by weeks."""

from typing import Any

from stripe import PaymentIntent

from tests.sandbox.stripe.platform import Platform

DAY = 86_400
HOUR = 3_600
BOOKING = {"bookingRequestId": "b1"}


async def _pay(platform: Platform, form: dict[str, str], **more: Any) -> PaymentIntent:
    session = await platform.checkout(metadata=BOOKING, **more)
    assert session.url is not None
    assert (await platform.browser.post(session.url, data=form)).status_code == 303
    session = await platform.stripe.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["payment_intent"]})
    assert isinstance(session.payment_intent, PaymentIntent)
    return session.payment_intent


CARD = {"number": "4242424242424242"}


async def test_two_payments_of_a_booking_are_kept_apart(platform: Platform) -> None:
    """The student pays anew with a charge, and the old hold is released only then."""
    v1, account = platform.stripe.v1, await platform.account()
    customer = await v1.customers.create_async({"email": "ada@student.test"})
    hold_data = {
        "capture_method": "manual",
        "application_fee_amount": 2_000,
        "transfer_data": {"destination": account.id},
        "metadata": BOOKING,
    }
    hold = await _pay(platform, CARD, customer=customer.id, payment_intent_data=hold_data)
    charge_data = {"transfer_group": "booking-b1", "metadata": BOOKING}
    charge = await _pay(platform, CARD, customer=customer.id, payment_intent_data=charge_data)

    intents = (await v1.payment_intents.list_async({"customer": customer.id})).data
    assert [(intent.id, intent.status) for intent in intents] == [
        (charge.id, "succeeded"),
        (hold.id, "requires_capture"),
    ]
    assert {intent.metadata["bookingRequestId"] for intent in intents} == {"b1"}
    sessions = (await v1.checkout.sessions.list_async({"customer": customer.id})).data
    assert [session.payment_intent for session in sessions] == [charge.id, hold.id]
    for intent in (hold, charge):
        [session] = (await v1.checkout.sessions.list_async({"payment_intent": intent.id})).data
        assert session.payment_intent == intent.id

    await v1.payment_intents.cancel_async(hold.id)
    transfer = await v1.transfers.create_async(
        {
            "amount": 8_000,
            "currency": "usd",
            "destination": account.id,
            "source_transaction": str(charge.latest_charge),
            "transfer_group": "booking-b1",
        }
    )
    in_group = (await v1.transfers.list_async({"transfer_group": "booking-b1"})).data
    charges = (await v1.charges.list_async({"transfer_group": "booking-b1"})).data
    assert ([found.id for found in in_group], [found.id for found in charges]) == (
        [transfer.id],
        [charge.latest_charge],
    )
    assert (await platform.net(), await platform.net(account.id)) == (9_680 - 8_000, 8_000)
    assert (await v1.payment_intents.retrieve_async(charge.id)).status == "succeeded"


async def test_weeks_pass_in_order(platform: Platform) -> None:
    """One move of the clock: each deadline on the way is met at its own time."""
    v1, account = platform.stripe.v1, await platform.account()
    await platform.control("POST", "/holds", {"card_seconds": 4 * DAY + 18 * HOUR})
    short = await _pay(platform, CARD, payment_intent_data={"capture_method": "manual"})
    klarna = await platform.checkout(payment_intent_data={"capture_method": "manual"})
    await platform.control("POST", f"/checkout_sessions/{klarna.id}/pay", {"method": "klarna"})
    debit = await _pay(platform, {"method": "us_bank_account", "number": "000123456789"})
    charge = await _pay(platform, CARD)
    await v1.transfers.create_async(
        {
            "amount": 8_000,
            "currency": "usd",
            "destination": account.id,
            "source_transaction": str(charge.latest_charge),
        }
    )
    start = charge.created
    await platform.advance(6 * 7 * DAY)

    page = await v1.events.list_async({"limit": 100, "created": {"gt": start + 60}})
    events = list(reversed(page.data))
    assert [event.created for event in events] == sorted(event.created for event in events)
    met = [
        (event.type, round((event.created - start) / HOUR))
        for event in events
        if event.type in ("payment_intent.succeeded", "payment_intent.canceled")
    ]
    until_midnight = round((DAY - start % DAY) / HOUR)
    assert met == [
        ("payment_intent.succeeded", 4 * 24),
        ("payment_intent.canceled", 4 * 24 + 18),
        ("payment_intent.canceled", 27 * 24 + until_midnight),
    ]
    assert (await v1.payment_intents.retrieve_async(debit.id)).status == "succeeded"
    assert (await v1.payment_intents.retrieve_async(short.id)).status == "canceled"

    payouts = (await v1.events.list_async({"type": "payout.*"}, {"stripe_account": account.id})).data
    days = [(event.type, (event.created // DAY) - start // DAY) for event in reversed(payouts)]
    assert days == [("payout.created", 2), ("payout.reconciliation_completed", 2), ("payout.paid", 4)]
    assert await platform.net(account.id) == 0
