"""The rules of a destination charge: its destination and its application fee (docs "Destination charges")."""

from sandbox.stripe.accounts import require_transfers
from sandbox.stripe.context import Call
from sandbox.stripe.errors import invalid
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.store import Record


def check(call: Call, params: JsonObject, amount: int) -> None:
    """Check the parameters of a destination charge.

    Raises:
        StripeError: 400 for a fee above the amount, a fee together with a transfer amount, a fee without a destination,
            or a destination that can't receive transfers.
    """
    data = params.get("transfer_data") or {}
    fee: int | None = params.get("application_fee_amount")
    if fee is not None:
        if not data:
            require_destination(params, fee)
        if fee > amount:
            message = "The application fee cannot be greater than the total charge amount."
            raise invalid(message, code="amount_too_large", param="application_fee_amount")
        if data.get("amount") is not None:
            message = "You cannot pass both `application_fee_amount` and `transfer_data[amount]`."
            raise invalid(message, param="application_fee_amount")
    if data:
        if (data.get("amount") or 0) > amount:
            message = "The transfer amount cannot be greater than the total charge amount."
            raise invalid(message, code="amount_too_large", param="transfer_data[amount]")
        require_transfers(call.context, call.account, data["destination"], "transfer_data[destination]")


def require_destination(intent: JsonObject, fee: int) -> None:
    if fee < 0:
        raise invalid("Invalid non-negative integer", code="parameter_invalid_integer", param="application_fee_amount")
    if not intent.get("transfer_data"):
        message = (
            "Can only apply an application_fee_amount when the PaymentIntent is attempting a direct payment (using "
            "an OAuth key or Stripe-Account header) or destination payment (using `transfer_data[destination]`)."
        )
        raise invalid(message, param="application_fee_amount")


def require_transfers_still(call: Call, intent: Record) -> None:
    """The destination may have lost its transfers, or been deleted, since the intent was created."""
    if data := intent.body["transfer_data"]:
        require_transfers(call.context, call.account, data["destination"], "transfer_data[destination]")
