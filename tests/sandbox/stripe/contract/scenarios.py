"""Scenarios for both the sandbox and Stripe: the calls that Holdfast makes, and their errors."""

import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

from stripe import StripeClient
from stripe.params import PaymentIntentCreateParams, RefundCreateParams, TransferReversalCreateParams

from tests.sandbox.stripe.contract.bank_scenarios import early_fraud_warning, inquiry, text_limits
from tests.sandbox.stripe.contract.transcript import Transcript

Scenario = Callable[[Transcript, str], Awaitable[None]]


def _payment(card: str = "pm_card_visa", amount: int = 10_000, manual: bool = True) -> PaymentIntentCreateParams:
    return {
        "amount": amount,
        "currency": "usd",
        "capture_method": "manual" if manual else "automatic",
        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
        "payment_method": card,
        "confirm": True,
    }


async def hold_captured_in_part(t: Transcript, _: str) -> None:
    intents, refunds = t.client.v1.payment_intents, t.client.v1.refunds
    intent = await t.step("hold", intents.create_async(_payment()))
    await t.step("capture too much", intents.capture_async(intent.id, {"amount_to_capture": 10_001}))
    await t.step("capture nothing", intents.capture_async(intent.id, {"amount_to_capture": 0}))
    await t.step("capture half", intents.capture_async(intent.id, {"amount_to_capture": 5_000}))
    await t.step("capture again", intents.capture_async(intent.id))
    await t.step("cancel after capture", intents.cancel_async(intent.id))
    await t.step("the charge", t.client.v1.charges.retrieve_async(intent.latest_charge))
    await t.step("refund too much", refunds.create_async({"payment_intent": intent.id, "amount": 5_001}))
    await t.step("refund part", refunds.create_async({"payment_intent": intent.id, "amount": 2_000}))
    await t.step("refund the rest", refunds.create_async({"payment_intent": intent.id}))
    await t.step("refund again", refunds.create_async({"payment_intent": intent.id}))
    await t.step("the charge in the end", t.client.v1.charges.retrieve_async(intent.latest_charge))


async def hold_cancelled(t: Transcript, _: str) -> None:
    intents = t.client.v1.payment_intents
    intent = await t.step("hold", intents.create_async(_payment()))
    await t.step("refund a hold", t.client.v1.refunds.create_async({"payment_intent": intent.id}))
    await t.step("cancel", intents.cancel_async(intent.id, {"cancellation_reason": "requested_by_customer"}))
    await t.step("cancel again", intents.cancel_async(intent.id))
    await t.step("capture", intents.capture_async(intent.id))
    await t.step("the charge", t.client.v1.charges.retrieve_async(intent.latest_charge))


async def declined_cards(t: Transcript, _: str) -> None:
    cards = (
        "pm_card_visa_chargeDeclined",
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        "pm_card_visa_chargeDeclinedLostCard",
        "pm_card_chargeDeclinedExpiredCard",
        "pm_card_chargeDeclinedIncorrectCvc",
        "pm_card_chargeDeclinedProcessingError",
    )
    for card in cards:
        await t.step(card, t.client.v1.payment_intents.create_async(_payment(card)))


async def wrong_requests(t: Transcript, _: str) -> None:
    raw = t.client.raw_request_async
    await t.step("unknown parameter", raw("post", "/v1/payment_intents", amount=100, currency="usd", colour="red"))
    await t.step("no integer", raw("post", "/v1/payment_intents", amount="ten", currency="usd"))
    await t.step("nothing given", raw("post", "/v1/payment_intents"))
    await t.step(
        "unknown enum value", raw("post", "/v1/payment_intents", amount=100, currency="usd", capture_method="x")
    )
    await t.step("too small", raw("post", "/v1/payment_intents", amount=10, currency="usd"))
    await t.step("unknown currency", raw("post", "/v1/payment_intents", amount=1_000, currency="xyz"))
    await t.step("unknown id", raw("get", "/v1/payment_intents/pi_of_nobody"))
    await t.step("unknown customer", raw("post", "/v1/payment_intents", amount=1_000, currency="usd", customer="cus_x"))
    await t.step("unknown path", raw("get", "/v1/holdfast"))
    await t.step("no such field to expand", raw("get", "/v1/balance", expand=["colour"]))


async def keys(t: Transcript, unique: str) -> None:
    customers = t.client.v1.customers
    first = await t.step("first", customers.create_async({"name": "A"}, {"idempotency_key": f"{unique}:a"}))
    again = await t.step("again", customers.create_async({"name": "A"}, {"idempotency_key": f"{unique}:a"}))
    await t.step("another body", customers.create_async({"name": "B"}, {"idempotency_key": f"{unique}:a"}))
    assert first.id == again.id
    declined = _payment("pm_card_visa_chargeDeclined")
    for attempt in ("declined", "declined again"):
        call = t.client.v1.payment_intents.create_async(declined, {"idempotency_key": f"{unique}:b"})
        await t.step(attempt, call)


async def checkout_session(t: Transcript, _: str) -> None:
    sessions = t.client.v1.checkout.sessions

    def create(expires_in: int) -> Awaitable[object]:
        return sessions.create_async(
            {
                "mode": "payment",
                "line_items": [
                    {
                        "quantity": 1,
                        "price_data": {
                            "currency": "usd",
                            "unit_amount": 10_000,
                            "product_data": {"name": "One hour of Greek"},
                        },
                    }
                ],
                "payment_intent_data": {"capture_method": "manual"},
                "success_url": "https://example.com/paid",
                "cancel_url": "https://example.com/cancelled",
                "expires_at": int(time.time()) + expires_in,
            }
        )

    await t.step("too short", create(20 * 60))
    await t.step("too long", create(25 * 3600))
    session = await t.step("open", create(3600))
    await t.step("expire", sessions.expire_async(session.id))
    await t.step("expire again", sessions.expire_async(session.id))
    await t.step("retrieve", sessions.retrieve_async(session.id))


async def destination_charge(t: Transcript, _: str) -> None:
    account = await _connected_account(t.client)
    intents, refunds = t.client.v1.payment_intents, t.client.v1.refunds
    fee_only: PaymentIntentCreateParams = {**_payment(), "application_fee_amount": 100}
    await t.step("a fee without a destination", intents.create_async(fee_only))
    params: PaymentIntentCreateParams = {
        **_payment(),
        "application_fee_amount": 2_000,
        "transfer_data": {"destination": account},
    }
    too_much: PaymentIntentCreateParams = {**params, "application_fee_amount": 10_001}
    await t.step("a fee above the amount", intents.create_async(too_much))
    intent = await t.step("hold", intents.create_async(params))
    await t.step(
        "capture half",
        intents.capture_async(intent.id, {"amount_to_capture": 5_000, "application_fee_amount": 1_000}),
    )
    charge = await t.step("the charge", t.client.v1.charges.retrieve_async(intent.latest_charge))
    await t.step("its transaction", t.client.v1.balance_transactions.retrieve_async(charge.balance_transaction))
    await t.step("its transfer", t.client.v1.transfers.retrieve_async(charge.transfer))
    await t.step("its fee", t.client.v1.application_fees.retrieve_async(charge.application_fee))
    payment = (await t.client.v1.transfers.retrieve_async(charge.transfer)).destination_payment
    as_account = {"stripe_account": account}
    payment_charge = await t.step(
        "the payment on the other side",
        t.client.v1.charges.retrieve_async(payment, options=as_account),  # type: ignore[arg-type]
    )
    await t.step(
        "its transaction on the other side",
        t.client.v1.balance_transactions.retrieve_async(payment_charge.balance_transaction, options=as_account),  # type: ignore[arg-type]
    )
    refund = await t.step(
        "refund half with reversal and fee",
        refunds.create_async(
            {
                "payment_intent": intent.id,
                "amount": 2_500,
                "reverse_transfer": True,
                "refund_application_fee": True,
                "expand": ["transfer_reversal"],
            }
        ),
    )
    reversal = refund.transfer_reversal
    [fee_refund] = (await t.client.v1.application_fees.refunds.list_async(charge.application_fee)).data
    for name, transaction in (("reversal", reversal.balance_transaction), ("fee", fee_refund.balance_transaction)):
        await t.step(f"the source of the {name}'s transaction", _source(t.client, str(transaction)))
    payment_refund = await t.client.v1.refunds.retrieve_async(reversal.destination_payment_refund, options=as_account)  # type: ignore[arg-type]
    await t.step(
        "the payment refund's transaction on the other side",
        t.client.v1.balance_transactions.retrieve_async(payment_refund.balance_transaction, options=as_account),  # type: ignore[arg-type]
    )
    await t.step("the transfer after it", t.client.v1.transfers.retrieve_async(charge.transfer))
    await t.step("the fee after it", t.client.v1.application_fees.retrieve_async(charge.application_fee))


async def charge_then_transfer(t: Transcript, unique: str) -> None:
    account = await _connected_account(t.client)
    params: PaymentIntentCreateParams = {**_payment(manual=False), "transfer_group": unique}
    intent = await t.step("charge", t.client.v1.payment_intents.create_async(params))
    transfers = t.client.v1.transfers

    def create(amount: int) -> Awaitable[object]:
        return transfers.create_async(
            {
                "amount": amount,
                "currency": "usd",
                "destination": account,
                "source_transaction": intent.latest_charge,
            }
        )

    transfer = await t.step("transfer", create(8_000))
    await t.step("transfer too much", create(2_001))
    with_fee: TransferReversalCreateParams = {"amount": 3_000, "refund_application_fee": True}
    await t.step("reverse part, with a fee that there is not", transfers.reversals.create_async(transfer.id, with_fee))
    await t.step("reverse too much", transfers.reversals.create_async(transfer.id, {"amount": 5_001}))
    await t.step("reverse the rest", transfers.reversals.create_async(transfer.id))
    await t.step("reverse again", transfers.reversals.create_async(transfer.id))
    no_fee: RefundCreateParams = {"payment_intent": intent.id, "refund_application_fee": True}
    await t.step("refund, with a fee that there is not", t.client.v1.refunds.create_async(no_fee))


async def _source(client: StripeClient, transaction: str) -> object:
    """What a balance transaction is about."""
    return (await client.v1.balance_transactions.retrieve_async(transaction, {"expand": ["source"]})).source


async def captures_refused(t: Transcript, _: str) -> None:
    account = await _connected_account(t.client)
    intents, accounts = t.client.v1.payment_intents, t.client.v1.accounts
    intent = await t.step("hold", intents.create_async(_payment()))
    await t.step("capture less than can be charged", intents.capture_async(intent.id, {"amount_to_capture": 49}))
    params: PaymentIntentCreateParams = {
        **_payment(),
        "application_fee_amount": 2_000,
        "transfer_data": {"destination": account},
    }
    intent = await t.step("hold for an account", intents.create_async(params))
    await accounts.update_async(account, {"capabilities": {"transfers": {"requested": False}}})
    await t.step("capture without transfers", intents.capture_async(intent.id))
    await accounts.delete_async(account)
    await t.step("capture for a deleted account", intents.capture_async(intent.id))
    await t.step("cancel", intents.cancel_async(intent.id))


async def _connected_account(client: StripeClient) -> str:
    """An account with the values that Stripe's test mode treats as verified (docs "Testing Stripe Connect")."""
    account = await client.v1.accounts.create_async(
        {
            "country": "US",
            "controller": {
                "fees": {"payer": "application"},
                "losses": {"payments": "application"},
                "requirement_collection": "application",
                "stripe_dashboard": {"type": "none"},
            },
            "capabilities": {"card_payments": {"requested": True}, "transfers": {"requested": True}},
            "business_type": "individual",
            "business_profile": {"mcc": "8299", "url": "https://accessible.stripe.com"},
            "individual": {
                "first_name": "Jenny",
                "last_name": "Rosen",
                "email": f"{uuid4().hex}@example.com",
                "phone": "0000000000",
                "dob": {"day": 1, "month": 1, "year": 1902},
                "address": {
                    "line1": "address_full_match",
                    "city": "San Francisco",
                    "state": "CA",
                    "postal_code": "94103",
                    "country": "US",
                },
                "ssn_last_4": "0000",
            },
            "external_account": "btok_us_verified",
            "tos_acceptance": {"date": 1_767_225_600, "ip": "127.0.0.1"},
        }
    )
    while account.capabilities is None or account.capabilities.transfers != "active":
        account = await client.v1.accounts.retrieve_async(account.id)
    return account.id


SCENARIOS: tuple[Scenario, ...] = (
    hold_captured_in_part,
    hold_cancelled,
    declined_cards,
    wrong_requests,
    keys,
    checkout_session,
    destination_charge,
    charge_then_transfer,
    captures_refused,
    text_limits,
    inquiry,
    early_fraud_warning,
)
