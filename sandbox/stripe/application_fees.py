"""Application fees: the platform's share of a destination charge, and its refunds.

Source: API reference, "Application fees" and "Application fee refunds".
"""

from sandbox.stripe.context import Call, Context
from sandbox.stripe.errors import invalid
from sandbox.stripe.ids import APPLICATION, new_id
from sandbox.stripe.json_values import JsonObject, merged_metadata
from sandbox.stripe.ledger import application_fee
from sandbox.stripe.lists import list_of, listed
from sandbox.stripe.money import formatted
from sandbox.stripe.store import Record

KIND = "application_fee"
REFUND_KIND = "fee_refund"


def retrieve(call: Call) -> JsonObject:
    return call.context.view(call.from_path(KIND, "id"))


def list_all(call: Call) -> JsonObject:
    return listed(call, KIND, "/v1/application_fees", "charge")


def create_refund(call: Call) -> JsonObject:
    """Refund a fee on its own."""
    fee = call.from_path(KIND, "id")
    remaining = fee.body["amount"] - fee.body["amount_refunded"]
    amount = call.params.get("amount", remaining)
    if remaining == 0:
        raise invalid(f"Application fee {fee.id} has already been refunded.", code="application_fee_already_refunded")
    if amount < 1:
        raise invalid(
            "This value must be greater than or equal to 1.", code="parameter_invalid_integer", param="amount"
        )
    if amount > remaining:
        currency = fee.body["currency"]
        message = (
            f"Refund amount ({formatted(amount, currency)}) is greater than unrefunded amount on fee "
            f"({formatted(remaining, currency)})"
        )
        raise invalid(message, param="amount")
    record = refund(call.context, fee, amount)
    record.body["metadata"] = merged_metadata(None, call.params.get("metadata"))
    return call.context.view(call.context.store.save(record))


def list_refunds(call: Call) -> JsonObject:
    fee = call.from_path(KIND, "id")
    url = f"/v1/application_fees/{fee.id}/refunds"
    return listed(call, REFUND_KIND, url, keep=lambda record: record.body["fee"] == fee.id)


def collect(context: Context, charge: Record, account: str, amount: int, available_on: int) -> Record:
    """Record the fee as the platform's earning. `attach_payment` sets the payment that it is taken from."""
    body: JsonObject = {
        "id": new_id("fee"),
        "object": KIND,
        "account": account,
        "amount": amount,
        "amount_refunded": 0,
        "application": APPLICATION,
        "balance_transaction": None,
        "charge": charge.id,
        "created": context.now(),
        "currency": charge.body["currency"],
        "fee_source": None,
        "livemode": False,
        "originating_transaction": charge.id,
        "refunded": False,
    }
    body["refunds"] = list_of(f"/v1/application_fees/{body['id']}/refunds", [])
    body["balance_transaction"] = context.ledger.post(
        charge.owner,
        type="application_fee",
        amount=amount,
        currency=body["currency"],
        source=body["id"],
        available_on=available_on,
        description=application_fee(amount).description,
    )
    return context.store.put(KIND, body["id"], owner=charge.owner, body=body)


def attach_payment(context: Context, fee: Record, payment: str) -> None:
    fee.body |= {"charge": payment, "fee_source": {"charge": payment, "type": "charge"}}
    context.store.save(fee)
    context.emit(fee, "application_fee.created")


def of_payment(context: Context, payment: Record) -> Record | None:
    id = payment.body["application_fee"]
    return context.store.get(KIND, id) if id else None


def refund(context: Context, fee: Record, amount: int) -> Record:
    """Refund a part of the fee to the connected account. On both accounts it is a transaction of its own."""
    body: JsonObject = {
        "id": new_id("fr"),
        "object": REFUND_KIND,
        "amount": amount,
        "balance_transaction": None,
        "created": context.now(),
        "currency": fee.body["currency"],
        "fee": fee.id,
        "metadata": {},
    }
    body["balance_transaction"] = _post_refund(context, fee, fee.owner, -amount)
    _post_refund(context, fee, fee.body["account"], amount)
    record = context.store.put(REFUND_KIND, body["id"], owner=fee.owner, body=body)
    fee.body["amount_refunded"] += amount
    fee.body["refunded"] = fee.body["amount_refunded"] == fee.body["amount"]
    fee.body["refunds"] = list_of(fee.body["refunds"]["url"], [body, *fee.body["refunds"]["data"]])
    context.store.save(fee)
    context.emit(fee, "application_fee.refunded")
    return record


def _post_refund(context: Context, fee: Record, account: str, amount: int) -> str:
    """The source is the fee, not its refund."""
    return context.ledger.post(
        account,
        type="application_fee_refund",
        amount=amount,
        currency=fee.body["currency"],
        source=fee.id,
        available_on=context.ledger.available_on(fee.body["balance_transaction"]),
    )
