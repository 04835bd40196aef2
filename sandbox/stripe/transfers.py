"""Transfers from the platform's balance to a connected account.

Sources: API reference, "Transfers"; docs "Separate charges and transfers" and "Destination charges".
"""

from sandbox.stripe import charges
from sandbox.stripe.accounts import require_transfers
from sandbox.stripe.context import Call, Context
from sandbox.stripe.errors import invalid
from sandbox.stripe.ids import new_id
from sandbox.stripe.json_values import JsonObject, merged_metadata
from sandbox.stripe.ledger import KIND as TRANSACTION
from sandbox.stripe.ledger import application_fee as application_fee_line
from sandbox.stripe.lists import list_of, listed
from sandbox.stripe.money import check_currency, formatted
from sandbox.stripe.store import Record

KIND = "transfer"
_SOURCE = "source_transaction"


def create(call: Call) -> JsonObject:
    params, context = call.params, call.context
    currency = check_currency(params["currency"])
    destination = require_transfers(context, call.account, params["destination"])
    if "amount" not in params:
        raise invalid("Missing required param: amount.", code="parameter_missing", param="amount")
    amount = params["amount"]
    if amount < 1:
        raise invalid(
            "This value must be greater than or equal to 1.", code="parameter_invalid_integer", param="amount"
        )
    source = None
    if _SOURCE in params:
        source = call.find(charges.KIND, params[_SOURCE], _SOURCE)
        _check_source(context, source, amount, currency)
    if source is None or _has_settled(context, source):
        _check_balance(context, call.account, amount, currency)
    record = make(
        context,
        call.account,
        amount=amount,
        currency=currency,
        destination=destination,
        source=source,
        group=_group_of(context, source, params.get("transfer_group")) if source else params.get("transfer_group"),
        description=params.get("description"),
        metadata=merged_metadata(None, params.get("metadata")),
    )
    return context.view(record)


def retrieve(call: Call) -> JsonObject:
    return call.context.view(call.from_path(KIND, "transfer"))


def update(call: Call) -> JsonObject:
    record = call.from_path(KIND, "transfer")
    record.body |= call.pick("description")
    record.body["metadata"] = merged_metadata(record.body["metadata"], call.params.get("metadata"))
    call.context.store.save(record)
    call.context.emit(record, "transfer.updated", {})
    return call.context.view(record)


def list_all(call: Call) -> JsonObject:
    return listed(call, KIND, "/v1/transfers", "destination", "transfer_group")


def make(
    context: Context,
    account: str,
    *,
    amount: int,
    currency: str,
    destination: str,
    source: Record | None,
    group: str | None,
    description: str | None = None,
    metadata: JsonObject | None = None,
    application_fee: str | None = None,
    fee_amount: int = 0,
) -> Record:
    """Create a transfer and post it on both accounts.

    With a `source` charge, the funds become available together with the charge's funds.
    """
    available_on = context.ledger.available_on(source.body["balance_transaction"]) if source else None
    body: JsonObject = {
        "id": new_id("tr"),
        "object": KIND,
        "amount": amount,
        "amount_reversed": 0,
        "balance_transaction": None,
        "created": context.now(),
        "currency": currency,
        "description": description,
        "destination": destination,
        "destination_payment": None,
        "livemode": False,
        "metadata": metadata or {},
        "reversed": False,
        "source_transaction": source.id if source else None,
        "source_type": "card",
        "transfer_group": group,
    }
    body["reversals"] = list_of(f"/v1/transfers/{body['id']}/reversals", [])
    body["balance_transaction"] = context.ledger.post(
        account,
        type="transfer",
        amount=-amount,
        currency=currency,
        source=body["id"],
        available_on=available_on,
        description=description,
    )
    payment = charges.make_payment(context, body, application_fee, fee_amount)
    payment.body["balance_transaction"] = context.ledger.post(
        destination,
        type="payment",
        amount=amount,
        currency=currency,
        source=payment.id,
        fee=application_fee_line(fee_amount) if fee_amount else None,
        available_on=available_on,
    )
    context.store.save(payment)
    body["destination_payment"] = payment.id
    record = context.store.put(KIND, body["id"], owner=account, body=body)
    context.emit(record, "transfer.created")
    return record


def _check_balance(context: Context, account: str, amount: int, currency: str) -> None:
    if amount > context.ledger.available(account, currency):
        message = (
            "You have insufficient available funds in your Stripe account. Try adding funds directly to your "
            "available balance by creating Charges using the 4000000000000077 test card."
        )
        raise invalid(message, code="balance_insufficient")


def _has_settled(context: Context, source: Record) -> bool:
    """Whether the charge's funds are available: only before that is its transfer independent of the balance.

    Source: docs "Separate charges and transfers", "Transfer availability".
    """
    return context.ledger.available_on(source.body["balance_transaction"]) <= context.now()


def _group_of(context: Context, source: Record, requested: str | None) -> str:
    """The transfer group: that of the charge, which gets one if it has none (docs "Transfer availability")."""
    group: str = source.body["transfer_group"] or requested or f"group_{source.body['payment_intent']}"
    if source.body["transfer_group"] is None:
        source.body["transfer_group"] = group
        context.store.save(source)
    return group


def _check_source(context: Context, source: Record, amount: int, currency: str) -> None:
    """Check that the source charge is captured, has the currency, and has enough funds that were not transferred yet.

    Source: docs "Separate charges and transfers", "Transfer availability".
    """
    charge = source.body
    if charge["status"] == "pending":
        raise invalid("The sandbox does not model transfers from a payment that is still processing.", param=_SOURCE)
    if not charge["captured"] or charge["status"] != "succeeded":
        raise invalid(f"Charge {source.id} has not been captured, so it can't be transferred.", param=_SOURCE)
    if charge["refunded"]:
        raise invalid(f"Charge {source.id} has been refunded, so it can't be transferred.", param=_SOURCE)
    settled = context.store.get(TRANSACTION, charge["balance_transaction"]).body
    if settled["currency"] != currency:
        message = (
            f"The currency of source_transaction's balance transaction ({settled['currency']}) must be the same as "
            f"the transfer currency ({currency})"
        )
        raise invalid(message, param="currency")
    transferred = sum(
        record.body["amount"] for record in context.store.scan(KIND) if record.body["source_transaction"] == source.id
    )
    if transferred + amount > settled["amount"]:
        message = (
            "Transfers using this transaction as a source must not exceed the source amount of "
            f"{formatted(settled['amount'], currency)}."
        )
        if transferred:
            message += (
                f" (There is already a transfer using this source, amounting to {formatted(transferred, currency)}.)"
            )
        raise invalid(message, code="balance_insufficient", param="amount")
