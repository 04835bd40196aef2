"""Scenarios of the limits of texts, and of what the card's bank does after the charge."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from stripe.params import PaymentIntentCreateParams

from tests.sandbox.stripe.contract.transcript import Transcript

_ATTEMPTS = 60


def _payment(card: str = "pm_card_visa") -> PaymentIntentCreateParams:
    return {
        "amount": 10_000,
        "currency": "usd",
        "capture_method": "automatic",
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        "payment_method": card,
        "confirm": True,
    }


async def text_limits(t: Transcript, _: str) -> None:
    customers, intents = t.client.v1.customers, t.client.v1.payment_intents
    most = {f"key{number}": "x" for number in range(50)}
    await t.step("50 keys", customers.create_async({"metadata": most}))
    await t.step("51 keys", customers.create_async({"metadata": most | {"one": "more"}}))
    await t.step("a long key", customers.create_async({"metadata": {"k" * 41: "x"}}))
    await t.step("a long value", customers.create_async({"metadata": {"key": "x" * 501}}))
    for name, suffix in (("long", "A" * 23), ("without a letter", "12345"), ("with a star", "GREEK*")):
        params: PaymentIntentCreateParams = {**_payment(), "statement_descriptor_suffix": suffix}
        await t.step(f"a descriptor {name}", intents.create_async(params))


async def inquiry(t: Transcript, _: str) -> None:
    disputes = t.client.v1.disputes
    for outcome in ("winning_evidence", "escalate_inquiry_evidence"):
        params = _payment("pm_card_createDisputeInquiry")
        intent = await t.step("charge", t.client.v1.payment_intents.create_async(params))
        opened = await _first(lambda: disputes.list_async({"payment_intent": intent.id}))  # noqa: B023
        await t.step("the inquiry", disputes.retrieve_async(opened.id))
        evidence = {"evidence": {"uncategorized_text": outcome}, "submit": True}
        await t.step(outcome, disputes.update_async(opened.id, evidence))  # type: ignore[arg-type]
        await t.step("the inquiry in the end", disputes.retrieve_async(opened.id))


async def early_fraud_warning(t: Transcript, _: str) -> None:
    warnings = t.client.v1.radar.early_fraud_warnings
    params = _payment("pm_card_createIssuerFraudRecord")
    intent = await t.step("charge", t.client.v1.payment_intents.create_async(params))
    opened = await _first(lambda: warnings.list_async({"payment_intent": intent.id}))
    await t.step("the warning", warnings.retrieve_async(opened.id))
    await t.step("refund", t.client.v1.refunds.create_async({"payment_intent": intent.id, "reason": "fraudulent"}))
    await t.step("the warning after it", warnings.retrieve_async(opened.id))


async def _first(listed: Callable[[], Awaitable[Any]]) -> Any:
    """The first object of the list. In Stripe's test mode it takes some seconds to appear."""
    for _ in range(_ATTEMPTS):
        if data := (await listed()).data:
            return data[0]
        await asyncio.sleep(1)
    raise AssertionError("the bank did nothing")
