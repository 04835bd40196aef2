"""Refunds, with the proportional reversal of the transfer and of the application fee.

Sources: API reference, "Create a refund"; docs "Destination charges", "Issue refunds".
"""

from sandbox.stripe import application_fees, charges, disputes, early_fraud_warnings, refund_records, transfer_reversals
from sandbox.stripe.context import Call, Context
from sandbox.stripe.errors import invalid, unexpected_state
from sandbox.stripe.json_values import JsonObject, merged_metadata
from sandbox.stripe.lists import listed
from sandbox.stripe.money import formatted, proportional_part
from sandbox.stripe.refund_records import KIND
from sandbox.stripe.store import Record


def create(call: Call) -> JsonObject:
    """Refund a captured charge in full or in part.

    Raises:
        StripeError: 400 for an amount above the unrefunded rest, a charge that is not captured or is disputed, a
            reversal without a transfer, or a fee refund without a reversal.
    """
    call.reject_unmodelled("customer", "instructions_email", "origin")
    params, context = call.params, call.context
    charge = _charge(call)
    amount = _amount(context, charge, params.get("amount"))
    transfer_id = charge.body.get("transfer")
    fee_id = charge.body["application_fee"]
    if params.get("reverse_transfer") and transfer_id is None:
        message = f"Cannot reverse transfer on charge {charge.id} since it doesn't have an associated transfer."
        raise invalid(message, param="reverse_transfer")
    if params.get("refund_application_fee") and fee_id is not None and not params.get("reverse_transfer"):
        message = (
            "Refunding the application fee of a destination charge also requires `reverse_transfer=true`: the "
            "fee goes back to the connected account, which the reversal takes it from."
        )
        raise invalid(message, param="refund_application_fee")
    refund = refund_records.make(context, charge, amount)
    refund.body |= {"reason": params.get("reason"), "metadata": merged_metadata(None, params.get("metadata"))}
    if refund_records.must_wait(context, refund):
        refund_records.wait(context, refund)
    else:
        refund_records.debit(context, refund, charge)
    if params.get("reverse_transfer"):
        refund.body["transfer_reversal"] = _reverse(call, charge, refund, amount)
    context.store.save(refund)
    refund_records.add_to_charge(context, charge, amount)
    context.emit(refund, "refund.created")
    context.emit(charge, "charge.refunded")
    disputes.close_refunded_inquiries(context, charge)
    early_fraud_warnings.settle(context, charge)
    return context.view(refund)


def retrieve(call: Call) -> JsonObject:
    return call.context.view(call.from_path(KIND, "refund"))


def update(call: Call) -> JsonObject:
    refund = call.from_path(KIND, "refund")
    refund.body["metadata"] = merged_metadata(refund.body["metadata"], call.params.get("metadata"))
    call.context.store.save(refund)
    call.context.emit(refund, "refund.updated", {})
    return call.context.view(refund)


def list_all(call: Call) -> JsonObject:
    return listed(call, KIND, "/v1/refunds", "charge", "payment_intent")


def _charge(call: Call) -> Record:
    """The charge to refund, from the parameter `charge` or `payment_intent`."""
    if "charge" in call.params:
        charge = call.find(charges.KIND, call.params["charge"], "charge")
    elif "payment_intent" in call.params:
        intent = call.find("payment_intent", call.params["payment_intent"], "payment_intent")
        if intent.body["status"] != "succeeded":
            status = intent.body["status"]
            message = f"This PaymentIntent ({intent.id}) does not have a successful charge to refund. Status: {status}."
            raise unexpected_state(message, call.context.view(intent))
        charge = call.context.store.get(charges.KIND, intent.body["latest_charge"])
    else:
        message = "One of the following params should be provided for this request: payment_intent or charge."
        raise invalid(message, code="parameter_missing", param="charge")
    if not charge.body["captured"]:
        message = f"Charge {charge.id} has not been captured: cancel its PaymentIntent to let go of the hold."
        raise invalid(message, code="charge_not_refundable", param="charge")
    return charge


def _amount(context: Context, charge: Record, requested: int | None) -> int:
    body = charge.body
    remaining: int = body["amount_captured"] - body["amount_refunded"]
    if disputes.blocks_refunds(context, charge):
        raise invalid(f"Charge {charge.id} has been charged back; cannot issue a refund.", code="charge_disputed")
    if remaining == 0:
        raise invalid(f"Charge {charge.id} has already been refunded.", code="charge_already_refunded")
    amount = remaining if requested is None else requested
    if amount < 1:
        raise invalid(
            "This value must be greater than or equal to 1.", code="parameter_invalid_integer", param="amount"
        )
    if amount > remaining:
        amount_text, remaining_text = formatted(amount, body["currency"]), formatted(remaining, body["currency"])
        message = f"Refund amount ({amount_text}) is greater than unrefunded amount on charge ({remaining_text})"
        raise invalid(message, param="amount")
    return amount


def _reverse(call: Call, charge: Record, refund: Record, amount: int) -> str | None:
    """Reverse the transfer in proportion to the refund, and refund the fee likewise if requested and there is one.

    The proportion is that of the refund to the captured amount. What is already reversed is not reversed again.
    """
    context, body = call.context, charge.body
    before, captured = body["amount_refunded"], body["amount_captured"]
    transfer = context.store.get("transfer", body["transfer"])
    part = proportional_part(transfer.body["amount"], before, before + amount, captured)
    part = min(part, transfer.body["amount"] - transfer.body["amount_reversed"])
    if call.params.get("refund_application_fee") and body["application_fee"]:
        _refund_fee(context, charge, amount)
    if part == 0:
        return None
    return transfer_reversals.make(context, transfer, part, source_refund=refund.id).id


def _refund_fee(context: Context, charge: Record, amount: int) -> None:
    body = charge.body
    fee = context.store.get(application_fees.KIND, body["application_fee"])
    before = body["amount_refunded"]
    part = proportional_part(fee.body["amount"], before, before + amount, body["amount_captured"])
    part = min(part, int(fee.body["amount"] - fee.body["amount_refunded"]))
    if part:
        application_fees.refund(context, fee, part)
