"""The validation of a new Checkout Session's parameters (API reference, "Create a Checkout Session")."""

from urllib.parse import urlsplit

from sandbox.stripe import payment_intents
from sandbox.stripe.context import Call
from sandbox.stripe.errors import invalid, not_modelled
from sandbox.stripe.json_values import JsonObject

_MIN_EXPIRY_SECONDS = 30 * 60
_MAX_EXPIRY_SECONDS = 24 * 3600

_NOT_MODELLED = (
    "after_expiration",
    "allow_promotion_codes",
    "automatic_tax",
    "consent_collection",
    "currency",
    "custom_fields",
    "customer_account",
    "discounts",
    "invoice_creation",
    "managed_payments",
    "optional_items",
    "payment_method_data",
    "phone_number_collection",
    "return_url",
    "saved_payment_method_options",
    "setup_intent_data",
    "shipping_address_collection",
    "shipping_options",
    "subscription_data",
    "tax_id_collection",
)


def check(call: Call) -> None:
    """Raises StripeError: 400 for parameters that Stripe rejects, or that the sandbox does not model."""
    params = call.params
    call.reject_unmodelled(*_NOT_MODELLED)
    payment_intents.check_options(params)
    for name in ("on_behalf_of", "setup_future_usage"):
        if (params.get("payment_intent_data") or {}).get(name):
            raise not_modelled(f"payment_intent_data[{name}]")
    if params.get("mode") != "payment":
        raise invalid("The sandbox models Checkout Sessions with mode=payment only.", param="mode")
    if not params.get("line_items"):
        message = "You must pass `line_items` in `payment` mode."
        raise invalid(message, code="parameter_missing", param="line_items")
    for name in ("success_url", "cancel_url"):
        if name in params and urlsplit(params[name]).scheme not in ("http", "https"):
            message = "Not a valid URL"
            raise invalid(message, code="url_invalid", param=name)
    if "success_url" not in params:
        raise invalid("Missing required param: success_url.", code="parameter_missing", param="success_url")
    if "customer" in params:
        call.find("customer", params["customer"], "customer")
        if "customer_email" in params:
            raise invalid("You may only specify one of these parameters: customer, customer_email.")
    if "statement_descriptor" in (params.get("payment_intent_data") or {}):
        raise invalid(
            "The `statement_descriptor` parameter is not supported for card charges. Use "
            "`statement_descriptor_suffix` instead.",
            param="payment_intent_data[statement_descriptor]",
        )


def expiry(params: JsonObject, now: int, ahead: int) -> int:
    """When the session expires: at `expires_at`, which must be 30 minutes to 24 hours ahead. The default is 24 hours.

    A client may not know that the clock was moved `ahead`, as Holdfast does not. An `expires_at` that is too early by
    this clock is taken as real time.

    Raises:
        StripeError: 400 for any other time.
    """
    lasts: int = params.get("expires_at", now + _MAX_EXPIRY_SECONDS) - now
    # Allow for the duration of the request, as Stripe does.
    if lasts < _MIN_EXPIRY_SECONDS - 5:
        lasts += ahead
    if lasts < _MIN_EXPIRY_SECONDS - 5:
        message = "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation."
        raise invalid(message, param="expires_at")
    if lasts > _MAX_EXPIRY_SECONDS + 5:
        message = "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation."
        raise invalid(message, param="expires_at")
    return now + lasts
