"""Dynamic payment methods: what Checkout offers in a currency and a country.

Sources: docs "Dynamic payment methods" and "Payment method support"; changelog of 2026-09-30.endive, which replaces
`payment_method_types` by `allowed_payment_method_types`.
"""

from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.payment_method_types import ALL, BY_NAME

_SETTING = "sandbox.setting"
_METHODS = "payment_methods"
_PLATFORM_COUNTRY = "US"


def configure(context: Context, country: str | None, off: list[str]) -> None:
    """Set the platform's country, and the types that it has turned off in the dashboard.

    Raises:
        StripeError: 400 for a type that is not modelled.
    """
    if unknown := sorted(set(off) - BY_NAME.keys()):
        raise invalid(f"The sandbox does not model these payment methods: {', '.join(unknown)}.", param="off")
    body = {"country": country or _PLATFORM_COUNTRY, "off": off}
    context.store.put(_SETTING, _METHODS, owner="", body=body)


def platform_country(context: Context) -> str:
    setting = context.store.find(_SETTING, _METHODS)
    return str(setting.body["country"]) if setting else _PLATFORM_COUNTRY


def offered(context: Context, params: JsonObject, currency: str, *, manual: bool) -> list[str]:
    """The types that a new Checkout Session offers. Allowed ones that cannot be used are dropped silently.

    Raises:
        StripeError: 400 for both lists together, or if no type is left.
    """
    allowed, excluded = params.get("allowed_payment_method_types"), params.get("excluded_payment_method_types")
    if allowed and excluded:
        message = "You may only specify one of these parameters: allowed_payment_method_types, "
        raise invalid(f"{message}excluded_payment_method_types.", param="excluded_payment_method_types")
    setting = context.store.find(_SETTING, _METHODS)
    left_out = {*(excluded or ()), *(setting.body["off"] if setting else ())}
    country = platform_country(context)
    types = [
        type.name
        for type in ALL
        if type.name not in left_out
        and (not allowed or type.name in allowed)
        and type.is_usable(currency, country, manual=manual)
    ]
    if not types:
        message = (
            "No valid payment method types for this Checkout Session. Please ensure that you have activated payment "
            "methods compatible with your chosen currency in your dashboard."
        )
        raise invalid(message)
    return types
