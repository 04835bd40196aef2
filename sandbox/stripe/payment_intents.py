"""PaymentIntents (API reference, "PaymentIntents")."""

from collections.abc import Sequence

from sandbox.stripe import destination_charges, payment_flow, payment_methods
from sandbox.stripe.context import Call
from sandbox.stripe.errors import invalid, not_modelled, unexpected_state
from sandbox.stripe.ids import new_id, new_token
from sandbox.stripe.json_values import JsonObject, merged_metadata
from sandbox.stripe.lists import listed
from sandbox.stripe.money import check_charge_amount, check_currency, check_step
from sandbox.stripe.payment_flow import INTENT as KIND
from sandbox.stripe.store import Record

_COPIED = (
    "description",
    "on_behalf_of",
    "receipt_email",
    "setup_future_usage",
    "shipping",
    "statement_descriptor_suffix",
    "transfer_group",
)
_NOT_MODELLED = (
    "amount_details",
    "confirmation_token",
    "customer_account",
    "error_on_requires_action",
    "hooks",
    "managed_payments",
    "mandate",
    "mandate_data",
    "on_behalf_of",
    "payment_details",
    "payment_method_data",
    "setup_future_usage",
)
_ACCEPTED_OPTIONS = {("card", "request_extended_authorization"), ("card", "request_three_d_secure")}
_CANCELLABLE = frozenset({"requires_payment_method", "requires_capture", "requires_confirmation", "requires_action"})
_CONFIRMABLE = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})
_UPDATABLE = _CONFIRMABLE


def create(call: Call) -> JsonObject:
    params = call.params
    call.reject_unmodelled(*_NOT_MODELLED)
    check_options(params)
    currency = check_currency(params["currency"])
    check_charge_amount(params["amount"], currency)
    if "statement_descriptor" in params:
        raise invalid(
            "The `statement_descriptor` parameter is not supported for card charges. Use "
            "`statement_descriptor_suffix` instead.",
            param="statement_descriptor",
        )
    if "customer" in params:
        call.find("customer", params["customer"], "customer")
    intent = make(call, params["amount"], currency, params)
    if "payment_method" in params:
        method = payment_methods.resolve(call.context, call.account, params["payment_method"])
        intent.body |= {"payment_method": method.id, "status": "requires_confirmation"}
        intent = call.context.store.save(intent)
    if params.get("confirm"):
        intent = _confirm(call, intent)
    return call.context.view(intent)


def make(
    call: Call,
    amount: int,
    currency: str,
    params: JsonObject,
    *,
    from_checkout: str | None = None,
    types: tuple[str, ...] = ("card",),
) -> Record:
    """Create an intent from the parameters of `create`, or from a Checkout Session's `payment_intent_data`."""
    destination_charges.check(call, params, amount)
    context = call.context
    id = new_id("pi")
    body: JsonObject = {
        "id": id,
        "object": KIND,
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": params.get("application_fee_amount"),
        "automatic_payment_methods": params.get("automatic_payment_methods"),
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": params.get("capture_method") or "automatic_async",
        "client_secret": f"{id}_secret_{new_token(25)}",
        "confirmation_method": params.get("confirmation_method", "automatic"),
        "created": context.now(),
        "currency": currency,
        "customer": params.get("customer"),
        "customer_account": None,
        "excluded_payment_method_types": params.get("excluded_payment_method_types"),
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": merged_metadata(None, params.get("metadata")),
        "next_action": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": options(params, types),
        "payment_method_types": [*types],
        "processing": None,
        "review": None,
        "source": None,
        "statement_descriptor": None,
        "status": "requires_payment_method",
        "transfer_data": params.get("transfer_data") or None,
    } | {name: params.get(name) for name in _COPIED}
    record = context.store.put(KIND, id, owner=call.account, body=body, hidden={"checkout_session": from_checkout})
    context.emit(record, "payment_intent.created")
    return record


def retrieve(call: Call) -> JsonObject:
    return call.context.view(call.from_path(KIND, "intent"))


def list_all(call: Call) -> JsonObject:
    return listed(call, KIND, "/v1/payment_intents", "customer")


def update(call: Call) -> JsonObject:
    intent, params = call.from_path(KIND, "intent"), call.params
    if intent.body["status"] not in _UPDATABLE and params.keys() - {
        "metadata",
        "description",
        "receipt_email",
        "expand",
    }:
        status = intent.body["status"]
        message = f"This PaymentIntent's parameters could not be updated because it has a status of {status}."
        raise unexpected_state(message, intent.body)
    if "amount" in params:
        check_charge_amount(params["amount"], intent.body["currency"])
    intent.body |= call.pick("amount", "application_fee_amount", "customer", *_COPIED)
    intent.body["metadata"] = merged_metadata(intent.body["metadata"], params.get("metadata"))
    destination_charges.check(call, intent.body, intent.body["amount"])
    return call.context.view(call.context.store.save(intent))


def confirm(call: Call) -> JsonObject:
    call.reject_unmodelled(*_NOT_MODELLED)
    check_options(call.params)
    intent = call.from_path(KIND, "intent")
    _reject_checkout_intent(intent, "confirm")
    if intent.body["status"] not in _CONFIRMABLE:
        status = intent.body["status"]
        message = (
            "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed."
            if status in ("succeeded", "requires_capture")
            else f"You cannot confirm this PaymentIntent because it has a status of {status}."
        )
        raise unexpected_state(message, intent.body)
    if "payment_method" in call.params:
        intent.body["payment_method"] = payment_methods.resolve(
            call.context, call.account, call.params["payment_method"]
        ).id
    return call.context.view(_confirm(call, intent))


def capture(call: Call) -> JsonObject:
    """Capture in full or in part, once.

    Raises:
        StripeError: 400 `payment_intent_unexpected_state`, `amount_too_large`, `charge_expired_for_capture`, an amount
            or a fee that the currency does not take, or a destination that can no longer receive transfers.
    """
    call.reject_unmodelled("amount_details", "hooks", "payment_details")
    intent, params = call.from_path(KIND, "intent"), call.params
    capturable: int = intent.body["amount_capturable"]
    if intent.body["status"] != "requires_capture":
        _reject_capture(call, intent)
    amount: int = params.get("amount_to_capture", capturable)
    check_charge_amount(amount, intent.body["currency"], "amount_to_capture")
    if amount > capturable:
        message = (
            "The amount_to_capture must be less than or equal to the amount_capturable "
            f"({capturable}) of the PaymentIntent."
        )
        raise invalid(message, code="amount_too_large", param="amount_to_capture")
    if params.get("final_capture") is False:
        raise invalid("Multicapture is not available for this PaymentIntent.", param="final_capture")
    if "application_fee_amount" in params:
        destination_charges.require_destination(intent.body, params["application_fee_amount"])
        check_step(params["application_fee_amount"], intent.body["currency"], "application_fee_amount")
        intent.body["application_fee_amount"] = params["application_fee_amount"]
    if "transfer_data" in params:
        intent.body["transfer_data"] = (intent.body["transfer_data"] or {}) | params["transfer_data"]
    intent.body["metadata"] = merged_metadata(intent.body["metadata"], params.get("metadata"))
    destination_charges.require_transfers_still(call, intent)
    return call.context.view(payment_flow.capture(call.context, intent, amount))


def cancel(call: Call) -> JsonObject:
    intent = call.from_path(KIND, "intent")
    status = intent.body["status"]
    if status != "requires_capture":
        _reject_checkout_intent(intent, "cancel")
    if status not in _CANCELLABLE:
        message = (
            f"You cannot cancel this PaymentIntent because it has a status of {status}. Only a PaymentIntent with "
            "one of the following statuses may be canceled: requires_payment_method, requires_capture, "
            "requires_reauthorization, requires_confirmation, requires_action, processing."
        )
        raise unexpected_state(message, intent.body)
    return call.context.view(payment_flow.cancel(call.context, intent, call.params.get("cancellation_reason")))


def check_options(params: JsonObject) -> None:
    """Check `payment_method_options`, of which only requests that the card network may decline are accepted.

    Raises:
        StripeError: 400 for all others, which would change the amount or the time of the capture.
    """
    for kind, options in (params.get("payment_method_options") or {}).items():
        for name in options or ():
            if (kind, name) not in _ACCEPTED_OPTIONS:
                raise not_modelled(f"payment_method_options[{kind}][{name}]")


def options(params: JsonObject, types: Sequence[str]) -> JsonObject:
    """The `payment_method_options` of a new object that can be paid by these types."""
    requested = (params.get("payment_method_options") or {}).get("card") or {}
    return {"card": {"request_three_d_secure": "automatic"} | requested} if "card" in types else {}


def _confirm(call: Call, intent: Record) -> Record:
    if intent.body["payment_method"] is None:
        message = (
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the "
            "PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a "
            "payment method or ConfirmationToken."
        )
        raise unexpected_state(message, intent.body)
    destination_charges.require_transfers_still(call, intent)
    method = call.context.store.get(payment_methods.KIND, intent.body["payment_method"])
    off_session = bool(call.params.get("off_session"))
    return payment_flow.pay(call.context, intent, method, off_session=off_session)


def _reject_capture(call: Call, intent: Record) -> None:
    body = intent.body
    if body["status"] == "canceled" and body["cancellation_reason"] == "expired":
        message = "This authorization has expired and can no longer be captured."
        raise invalid(message, code="charge_expired_for_capture")
    message = (
        f"This PaymentIntent could not be captured because it has a status of {body['status']}. Only a PaymentIntent "
        "with one of the following statuses may be captured: requires_capture."
    )
    if body["status"] == "succeeded":
        message = "This PaymentIntent could not be captured because it has already been captured."
    raise unexpected_state(message, call.context.view(intent))


def _reject_checkout_intent(intent: Record, verb: str) -> None:
    """Reject an intent that Checkout manages until it is authorized (docs, "Cancel a PaymentIntent")."""
    if intent.hidden["checkout_session"]:
        message = (
            f"You cannot {verb} a PaymentIntent that was created by a Checkout Session. Expire the Checkout Session "
            "instead."
        )
        raise unexpected_state(message, intent.body)
