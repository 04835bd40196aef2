"""Checkout Sessions in payment mode (API reference, "Checkout Sessions")."""

from sandbox.stripe import (
    checkout_rules,
    destination_charges,
    dynamic_payment_methods,
    line_items,
    payment_failures,
    payment_flow,
    payment_intents,
    payment_methods,
)
from sandbox.stripe.context import Call, Context
from sandbox.stripe.errors import StripeError, invalid
from sandbox.stripe.ids import new_id
from sandbox.stripe.instruments import Instrument
from sandbox.stripe.json_values import JsonObject, merged_metadata
from sandbox.stripe.lists import list_of, listed
from sandbox.stripe.money import check_charge_amount
from sandbox.stripe.store import Record

KIND = "checkout.session"
EXPIRE_SESSION = "expire_session"
CHECKOUT_PATH = "/c/pay/"

_COPIED = (
    "billing_address_collection",
    "cancel_url",
    "client_reference_id",
    "customer_email",
    "locale",
    "submit_type",
    "success_url",
)


def create(call: Call) -> JsonObject:
    params, context = call.params, call.context
    checkout_rules.check(call)
    items = [line_items.make(context, item, index) for index, item in enumerate(params["line_items"])]
    currencies = {item["currency"] for item in items}
    if len(currencies) > 1:
        raise invalid("All line items must use the same currency.", param="line_items")
    currency, amount = currencies.pop(), sum(item["amount_total"] for item in items)
    check_charge_amount(amount, currency, "line_items")
    intent_data = params.get("payment_intent_data") or {}
    destination_charges.check(call, intent_data, amount)
    is_manual = intent_data.get("capture_method") == "manual"
    types = dynamic_payment_methods.offered(context, params, currency, manual=is_manual)
    now = context.now()
    expires_at = checkout_rules.expiry(params, now, context.clock.offset_seconds)
    id = new_id("cs_test_a1", 56).replace("a1_", "a1")
    body: JsonObject = {
        "id": id,
        "object": KIND,
        "adaptive_pricing": {"enabled": False},
        "after_expiration": None,
        "allow_promotion_codes": None,
        "amount_subtotal": amount,
        "amount_total": amount,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "created": now,
        "currency": currency,
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": _custom_text(params.get("custom_text") or {}),
        "customer": params.get("customer"),
        "customer_account": None,
        "customer_creation": params.get("customer_creation") or (None if "customer" in params else "if_required"),
        "customer_details": _customer_details(params.get("customer_email")),
        "discounts": [],
        # By the client's clock: the sandbox's may be ahead.
        "expires_at": params.get("expires_at", expires_at),
        "invoice": None,
        "invoice_creation": {
            "enabled": False,
            "invoice_data": {
                "account_tax_ids": None,
                "custom_fields": None,
                "description": None,
                "footer": None,
                "issuer": None,
                "metadata": {},
                "rendering_options": None,
            },
        },
        "livemode": False,
        "metadata": merged_metadata(None, params.get("metadata")),
        "mode": "payment",
        "origin_context": None,
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": "if_required",
        "payment_method_configuration_details": None,
        "payment_method_options": payment_intents.options(params, types),
        "payment_method_types": types,
        "payment_status": "unpaid",
        "permissions": None,
        "phone_number_collection": {"enabled": False},
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_options": [],
        "status": "open",
        "subscription": None,
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{call.base_url}{CHECKOUT_PATH}{id}",
        "wallet_options": None,
    } | {name: params.get(name) for name in _COPIED}
    body |= call.pick("allowed_payment_method_types", "excluded_payment_method_types")
    for_intent = call.pick("excluded_payment_method_types", "payment_method_options")
    hidden = {"items": items, "intent_data": intent_data | for_intent}
    record = context.store.put(KIND, id, owner=call.account, body=body, hidden=hidden)
    context.timers.set(EXPIRE_SESSION, id, expires_at)
    return context.view(record)


def retrieve(call: Call) -> JsonObject:
    return call.context.view(call.from_path(KIND, "session"))


def list_all(call: Call) -> JsonObject:
    return listed(call, KIND, "/v1/checkout/sessions", "customer", "payment_intent", "status")


def list_line_items(call: Call) -> JsonObject:
    return line_items_included(call.context, call.from_path(KIND, "session").body)


def expire(call: Call) -> JsonObject:
    record = call.from_path(KIND, "session")
    if record.body["status"] != "open":
        message = (
            f'Only Checkout Sessions with a status in ["open"] can be expired. This Session has a status of '
            f"{record.body['status']}."
        )
        raise invalid(message)
    return call.context.view(expire_open(call.context, record))


def update(call: Call) -> JsonObject:
    record = call.from_path(KIND, "session")
    record.body["metadata"] = merged_metadata(record.body["metadata"], call.params.get("metadata"))
    return call.context.view(call.context.store.save(record))


def expire_open(context: Context, record: Record) -> Record:
    """Expire an open session, and cancel the PaymentIntent of an attempt on its page."""
    context.timers.clear(EXPIRE_SESSION, record.id)
    record.body |= {"status": "expired", "url": None}
    context.store.save(record)
    if record.body["payment_intent"]:
        intent = context.store.get(payment_flow.INTENT, record.body["payment_intent"])
        payment_flow.cancel(context, intent, "automatic")
    context.emit(record, "checkout.session.expired")
    return record


def expire_when_due(context: Context, id: str) -> None:
    record = context.store.get(KIND, id)
    if record.body["status"] == "open":
        expire_open(context, record)


def pay(
    call: Call, record: Record, instrument: Instrument, name: str, email: str | None, *, authenticated: bool = False
) -> Record:
    """Pay a session, as the page's "Pay" button does. The first attempt creates the intent, later ones reuse it.

    A session that is paid by a bank debit is complete, and unpaid until the bank confirms the debit.

    Raises:
        StripeError: 402 for a declined card. The session stays open.
    """
    context = call.context
    intent = _intent(call, record)
    method = payment_methods.make(context, record.owner, instrument, {"name": name, "email": email})
    record.body["customer_details"] = _customer_details(email or record.body["customer_email"], name)
    context.store.save(record)
    intent = payment_flow.pay(context, intent, method, authenticated=authenticated)
    if intent.body["status"] == "requires_action":
        return record
    return _complete(context, record)


def fail_authentication(context: Context, record: Record) -> StripeError:
    """Fail the challenge, or the redirect, that the payment requires."""
    intent = context.store.get(payment_flow.INTENT, record.body["payment_intent"])
    method = context.store.get(payment_methods.KIND, intent.body["payment_method"])
    return payment_failures.authentication_failed(context, intent, method)


def finish_debit_when_due(context: Context, intent_id: str) -> None:
    """The bank has confirmed or returned a debit. The session stays complete."""
    intent = context.store.get(payment_flow.INTENT, intent_id)
    outcome = "succeeded" if payment_flow.finish_debit(context, intent) else "failed"
    if session := intent.hidden["checkout_session"]:
        context.emit(context.store.get(KIND, session), f"checkout.session.async_payment_{outcome}")


def line_items_included(context: Context, session: JsonObject) -> JsonObject:
    record = context.store.get(KIND, session["id"])
    return list_of(f"/v1/checkout/sessions/{session['id']}/line_items", record.hidden["items"])


def view(context: Context, record: Record) -> JsonObject:
    """`payment_status` becomes `paid` with the capture (docs "How Checkout works")."""
    intent_id = record.body["payment_intent"]
    intent = context.store.find(payment_flow.INTENT, intent_id) if intent_id else None
    paid = intent is not None and intent.body["status"] == "succeeded"
    return record.body | {"payment_status": "paid" if paid else "unpaid"}


def _intent(call: Call, record: Record) -> Record:
    if record.body["payment_intent"]:
        return call.context.store.get(payment_flow.INTENT, record.body["payment_intent"])
    params = record.hidden["intent_data"] | {"customer": record.body["customer"]}
    intent = payment_intents.make(
        call,
        record.body["amount_total"],
        record.body["currency"],
        params,
        from_checkout=record.id,
        types=tuple(record.body["payment_method_types"]),
    )
    record.body["payment_intent"] = intent.id
    return intent


def _complete(context: Context, record: Record) -> Record:
    context.timers.clear(EXPIRE_SESSION, record.id)
    record.body |= {"status": "complete", "url": None}
    context.store.save(record)
    context.emit(record, "checkout.session.completed")
    return record


def _custom_text(texts: JsonObject) -> JsonObject:
    names = ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
    return {name: texts.get(name) or None for name in names}


def _customer_details(email: str | None, name: str | None = None) -> JsonObject | None:
    if email is None and name is None:
        return None
    return {
        "address": None,
        "business_name": None,
        "email": email,
        "individual_name": None,
        "name": name,
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }
