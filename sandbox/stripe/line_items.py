"""The line items of a Checkout Session: a name, an inline price and a quantity.

Source: API reference, "Checkout Sessions", `line_items`.
"""

from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid
from sandbox.stripe.ids import new_id
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.money import check_currency


def make(context: Context, item: JsonObject, index: int) -> JsonObject:
    """Create the line item for `line_items[index]`.

    Raises:
        StripeError: 400 for parameters that are not modelled, an unknown currency or a negative price.
    """
    data = item.get("price_data")
    if data is None or "unit_amount" not in data or "product_data" not in data:
        message = "The sandbox models line items with price_data[unit_amount] and price_data[product_data] only."
        raise invalid(message, param=f"line_items[{index}][price_data]")
    currency = check_currency(data["currency"], f"line_items[{index}][price_data][currency]")
    quantity, unit = item.get("quantity", 1), data["unit_amount"]
    if quantity < 1 or unit < 0:
        message = "This value must be greater than or equal to 1."
        raise invalid(message, code="parameter_invalid_integer", param=f"line_items[{index}]")
    price: JsonObject = {
        "id": new_id("price"),
        "object": "price",
        "active": False,
        "billing_scheme": "per_unit",
        "created": context.now(),
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": new_id("prod", 14),
        "recurring": None,
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "one_time",
        "unit_amount": unit,
        "unit_amount_decimal": str(unit),
    }
    total = unit * quantity
    return {
        "id": new_id("li"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": total,
        "amount_tax": 0,
        "amount_total": total,
        "currency": currency,
        "description": data["product_data"]["name"],
        "metadata": {},
        "price": price,
        "quantity": quantity,
    }
