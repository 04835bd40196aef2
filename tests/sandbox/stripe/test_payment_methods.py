"""Dynamic payment methods in Checkout: what is offered, wallets, and bank debits that are confirmed days later."""

from typing import Any

import pytest
from stripe import InvalidRequestError, PaymentIntent
from stripe.checkout import Session

from sandbox.browser.checkout_page import CheckoutClosed, pay_with
from tests.sandbox.stripe.platform import Json, Platform

DAY = 86_400


async def _types(platform: Platform, currency: str = "usd", **more: Any) -> list[str]:
    return list((await platform.checkout(currency=currency, **more)).payment_method_types)


async def _pay(platform: Platform, session: Session, method: str, **more: str) -> Session:
    await platform.control("POST", f"/checkout_sessions/{session.id}/pay", {"method": method, **more})
    return await platform.stripe.v1.checkout.sessions.retrieve_async(
        session.id, {"expand": ["payment_intent.latest_charge"]}
    )


def _intent(session: Session) -> PaymentIntent:
    assert isinstance(session.payment_intent, PaymentIntent)
    return session.payment_intent


US_DOLLARS = ["card", "link", "klarna", "affirm", "afterpay_clearpay", "amazon_pay", "cashapp", "us_bank_account"]


async def test_checkout_offers_what_currency_country_and_capture_allow(platform: Platform) -> None:
    assert await _types(platform) == US_DOLLARS
    assert await _types(platform, "eur") == ["card", "link", "klarna", "amazon_pay", "ideal", "sepa_debit"]
    manual = {"capture_method": "manual"}
    assert await _types(platform, payment_intent_data=manual) == US_DOLLARS[:-1]
    await platform.control("POST", "/payment_methods", {"country": "FR", "off": ["klarna", "billie"]})
    in_france = ["card", "link", "amazon_pay", "paypal", "revolut_pay", "mobilepay", "satispay", "alma"]
    assert await _types(platform, "eur", payment_intent_data=manual) == in_france
    assert (await platform.stripe.v1.accounts.retrieve_current_async()).country == "FR"


async def test_allowed_and_excluded_types_filter_what_is_offered(platform: Platform) -> None:
    manual = {"capture_method": "manual"}
    assert await _types(platform, excluded_payment_method_types=["klarna", "affirm"]) == [
        name for name in US_DOLLARS if name not in ("klarna", "affirm")
    ]
    allowed = ["us_bank_account", "klarna", "satispay", "card"]
    assert await _types(platform, allowed_payment_method_types=allowed) == ["card", "klarna", "us_bank_account"]
    filtered = await _types(platform, allowed_payment_method_types=allowed, payment_intent_data=manual)
    assert filtered == ["card", "klarna"]


@pytest.mark.parametrize(
    "more",
    [
        {"allowed_payment_method_types": ["us_bank_account"], "payment_intent_data": {"capture_method": "manual"}},
        {"allowed_payment_method_types": ["satispay"]},
        {"allowed_payment_method_types": ["card"], "excluded_payment_method_types": ["klarna"]},
        {"payment_method_types": ["card"]},
    ],
    ids=["none can be held", "none in this currency", "both lists", "removed parameter"],
)
async def test_session_that_offers_nothing_is_refused(platform: Platform, more: Json) -> None:
    with pytest.raises(InvalidRequestError):
        await platform.checkout(**more)


async def test_page_offers_every_type_and_takes_what_is_offered_only(platform: Platform) -> None:
    session = await platform.checkout(excluded_payment_method_types=["card", "klarna"])
    assert session.url is not None
    page = (await platform.browser.get(session.url)).text
    assert ['id="pay-affirm"' in page, 'id="pay-klarna"' in page, "000222222227" in page] == [True, False, True]
    assert "Card number" not in page
    for form in ({"method": "klarna"}, {"number": "4242424242424242"}, {"method": "us_bank_account", "number": "1"}):
        refused = await platform.browser.post(session.url, data=form)
        assert refused.status_code == 402
    assert (await platform.stripe.v1.checkout.sessions.retrieve_async(session.id)).payment_intent is None


@pytest.mark.parametrize(
    ("outcome", "status", "intent"),
    [
        ("complete", "complete", "succeeded"),
        ("fail", "open", "requires_payment_method"),
    ],
)
async def test_klarna_is_approved_on_its_own_page(platform: Platform, outcome: str, status: str, intent: str) -> None:
    session = await platform.checkout()
    assert session.url is not None
    sent = await platform.browser.post(session.url, data={"method": "klarna"})
    assert (sent.status_code, sent.headers["location"].endswith("/challenge")) == (303, True)
    waiting = await platform.stripe.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["payment_intent"]})
    assert (waiting.status, _intent(waiting).status) == ("open", "requires_action")
    challenge = f"{session.url}/challenge"
    assert "This stands for the page of Klarna" in (await platform.browser.get(challenge)).text
    answered = await platform.browser.post(challenge, data={"outcome": outcome})
    assert answered.status_code == (303 if outcome == "complete" else 402)
    done = await platform.stripe.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["payment_intent"]})
    assert (done.status, _intent(done).status) == (status, intent)
    if outcome == "fail":
        assert _intent(done).last_payment_error is not None
        assert (await platform.submit(session)).status_code == 303
    assert await platform.net() == (9_371 if outcome == "complete" else 9_680)


@pytest.mark.parametrize(
    ("method", "currency", "fee"),
    [
        ("link", "usd", 320),
        ("cashapp", "usd", 320),
        ("klarna", "usd", 629),
        ("ideal", "eur", 80),
    ],
)
async def test_wallet_is_paid_at_once(platform: Platform, method: str, currency: str, fee: int) -> None:
    session = await _pay(platform, await platform.checkout(currency=currency), method)
    charge = _intent(session).latest_charge
    assert charge is not None
    assert not isinstance(charge, str)
    assert (session.payment_status, charge.status, charge.id[:3]) == ("paid", "succeeded", "py_")
    assert charge.payment_method_details is not None
    assert charge.payment_method_details.type == method
    assert await platform.balance_transactions() == [("payment", 10_000, fee)]


DEBITS = {
    "us_bank_account": ("usd", "000123456789", 4, 80),
    "sepa_debit": ("eur", "AT611904300234573201", 6, 110),
    "bacs_debit": ("gbp", "00012345", 7, 100),
}


@pytest.mark.parametrize("method", DEBITS)
async def test_bank_debit_is_confirmed_days_later(platform: Platform, method: str) -> None:
    currency, number, days, fee = DEBITS[method]
    await platform.control("POST", "/payment_methods", {"country": "GB"})
    session = await _pay(platform, await platform.checkout(currency=currency), method, number=number)
    assert (session.status, session.payment_status, _intent(session).status) == ("complete", "unpaid", "processing")
    assert (await platform.event_types())[-3:] == [
        "charge.pending",
        "payment_intent.processing",
        "checkout.session.completed",
    ]
    with pytest.raises(InvalidRequestError):
        await platform.stripe.v1.refunds.create_async({"payment_intent": _intent(session).id})
    with pytest.raises(InvalidRequestError):
        await platform.stripe.v1.payment_intents.cancel_async(_intent(session).id)
    await platform.advance(days * DAY - 60)
    assert await platform.balance_transactions() == []
    await platform.advance(120)
    session = await platform.stripe.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["payment_intent"]})
    assert (session.payment_status, _intent(session).status) == ("paid", "succeeded")
    assert await platform.balance_transactions() == [("payment", 10_000, fee)]
    [line] = (await platform.stripe.v1.balance_transactions.list_async()).data
    assert line.status == "available"
    events = await platform.event_types()
    first = events.index("charge.succeeded")
    assert events[first : first + 3] == [
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.async_payment_succeeded",
    ]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("000222222227", "insufficient_funds"),
        ("000111111113", "account_closed"),
    ],
)
async def test_bank_debit_fails_days_later(platform: Platform, number: str, code: str) -> None:
    session = await _pay(platform, await platform.checkout(), "us_bank_account", number=number)
    await platform.advance(4 * DAY)
    failed = await platform.stripe.v1.payment_intents.retrieve_async(_intent(session).id, {"expand": ["latest_charge"]})
    assert failed.status == "requires_payment_method"
    assert failed.last_payment_error is not None
    assert failed.last_payment_error.code == code
    assert failed.latest_charge is not None
    assert not isinstance(failed.latest_charge, str)
    assert (failed.latest_charge.status, failed.latest_charge.failure_code) == ("failed", code)
    session = await platform.stripe.v1.checkout.sessions.retrieve_async(session.id)
    assert (session.status, session.payment_status) == ("complete", "unpaid")
    assert (await platform.event_types())[-3:] == [
        "charge.failed",
        "payment_intent.payment_failed",
        "checkout.session.async_payment_failed",
    ]
    assert await platform.net() == 0


async def test_bank_debit_can_stay_in_processing(platform: Platform) -> None:
    session = await _pay(platform, await platform.checkout(), "us_bank_account", number="000000000009")
    await platform.advance(60 * DAY)
    assert (await platform.stripe.v1.payment_intents.retrieve_async(_intent(session).id)).status == "processing"


async def test_payment_that_is_processing_cannot_be_transferred(platform: Platform) -> None:
    account = await platform.account()
    session = await _pay(platform, await platform.checkout(), "us_bank_account", number="000123456789")
    charge = _intent(session).latest_charge
    assert charge is not None
    assert not isinstance(charge, str)
    with pytest.raises(InvalidRequestError) as refused:
        await platform.stripe.v1.transfers.create_async(
            {"amount": 1_000, "currency": "usd", "destination": account.id, "source_transaction": charge.id}
        )
    assert refused.value.param == "source_transaction"


async def test_dispute_of_a_bank_debit_is_final(platform: Platform) -> None:
    await _pay(platform, await platform.checkout(), "us_bank_account", number="000555555559")
    await platform.advance(5 * DAY)
    [dispute] = (await platform.stripe.v1.disputes.list_async()).data
    assert (dispute.status, dispute.is_charge_refundable, dispute.payment_method_details) == ("lost", False, None)
    assert (await platform.event_types())[-3:] == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.closed",
    ]
    assert await platform.net() == 10_000 - 80 - 10_000 - 1_500


@pytest.mark.parametrize(("method", "delay"), [("klarna", 0), ("amazon_pay", 300), ("link", 0)])
async def test_refund_goes_the_way_the_money_came(platform: Platform, method: str, delay: int) -> None:
    session = await _pay(platform, await platform.checkout(), method)
    refund = await platform.stripe.v1.refunds.create_async({"payment_intent": _intent(session).id, "amount": 4_000})
    assert (refund.id[:4], refund.status) == ("pyr_", "pending" if delay else "succeeded")
    assert [type for type, _, _ in await platform.balance_transactions()] == ["payment", "payment_refund"]
    await platform.advance(2 * DAY)
    refund = await platform.stripe.v1.refunds.retrieve_async(refund.id)
    assert refund.status == "succeeded"
    details = getattr(refund, "destination_details", None)
    assert (details.type if details else None) == (None if method == "link" else method)


@pytest.mark.parametrize("method", ["klarna", "amazon_pay", "cashapp"])
async def test_dispute_says_how_the_charge_was_paid(platform: Platform, method: str) -> None:
    session = await _pay(platform, await platform.checkout(), method)
    charge = _intent(session).latest_charge
    assert charge is not None
    assert not isinstance(charge, str)
    opened = await platform.control("POST", "/disputes", {"charge": charge.id, "reason": "product_not_received"})
    details = (await platform.stripe.v1.disputes.retrieve_async(opened["id"])).payment_method_details
    assert (details.type if details else None) == (None if method == "cashapp" else method)


async def test_browser_pays_by_other_methods_than_cards(platform: Platform) -> None:
    refused, klarna, debit = [str((await platform.checkout()).url) for _ in range(3)]
    assert not await pay_with(refused, "klarna", approve=False)
    assert await pay_with(klarna, "klarna")
    assert await pay_with(debit, "us_bank_account", "000222222227")
    for closed in (klarna, str((await platform.checkout(excluded_payment_method_types=["klarna"])).url)):
        with pytest.raises(CheckoutClosed):
            await pay_with(closed, "klarna")
    await platform.advance(5 * DAY)
    intents = (await platform.stripe.v1.payment_intents.list_async()).data
    # The session that was left open has expired by then.
    assert [intent.status for intent in intents] == ["requires_payment_method", "succeeded", "canceled"]
