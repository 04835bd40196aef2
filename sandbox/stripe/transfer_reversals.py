"""Transfer reversals, which return funds from a connected account (API reference, "Transfer reversals")."""

from sandbox.stripe import application_fees, refund_records, settlement, transfers
from sandbox.stripe.context import Call, Context
from sandbox.stripe.errors import invalid
from sandbox.stripe.ids import new_id
from sandbox.stripe.json_values import JsonObject, merged_metadata
from sandbox.stripe.lists import list_of, listed
from sandbox.stripe.money import formatted, proportional_part
from sandbox.stripe.store import Record

KIND = "transfer_reversal"


def create(call: Call) -> JsonObject:
    transfer = call.from_path(transfers.KIND, "id")
    remaining = transfer.body["amount"] - transfer.body["amount_reversed"]
    amount = call.params.get("amount", remaining)
    if remaining == 0:
        raise invalid(f"Transfer {transfer.id} is already fully reversed.", code="transfer_already_reversed")
    if amount < 1:
        raise invalid(
            "This value must be greater than or equal to 1.", code="parameter_invalid_integer", param="amount"
        )
    if amount > remaining:
        currency = transfer.body["currency"]
        message = (
            f"Reversal amount ({formatted(amount, currency)}) is greater than unreversed amount on transfer "
            f"({formatted(remaining, currency)})"
        )
        raise invalid(message, param="amount")
    _check_balance(call.context, transfer, amount)
    _refund_fee(call, transfer, amount)
    reversal = make(call.context, transfer, amount, source_refund=None)
    reversal.body["metadata"] = merged_metadata(None, call.params.get("metadata"))
    return call.context.view(call.context.store.save(reversal))


def retrieve(call: Call) -> JsonObject:
    call.find(transfers.KIND, call.path["transfer"], "transfer", status=404)
    return call.context.view(call.from_path(KIND, "id"))


def list_all(call: Call) -> JsonObject:
    transfer = call.from_path(transfers.KIND, "id")
    url = f"/v1/transfers/{transfer.id}/reversals"
    return listed(call, KIND, url, keep=lambda record: record.body["transfer"] == transfer.id)


def make(context: Context, transfer: Record, amount: int, *, source_refund: str | None) -> Record:
    """Reverse `amount` of the transfer. The platform's transaction has the transfer as its source."""
    body: JsonObject = {
        "id": new_id("trr"),
        "object": KIND,
        "amount": amount,
        "balance_transaction": None,
        "created": context.now(),
        "currency": transfer.body["currency"],
        "destination_payment_refund": None,
        "metadata": {},
        "source_refund": source_refund,
        "transfer": transfer.id,
    }
    available_on = context.ledger.available_on(transfer.body["balance_transaction"])
    body["balance_transaction"] = context.ledger.post(
        transfer.owner,
        type="transfer_refund",
        amount=amount,
        currency=body["currency"],
        source=transfer.id,
        available_on=available_on,
    )
    payment = context.store.get("charge", transfer.body["destination_payment"])
    refund = refund_records.make(context, payment, amount, source_transfer_reversal=body["id"])
    refund.body["balance_transaction"] = context.ledger.post(
        payment.owner,
        type="payment_refund",
        amount=-amount,
        currency=body["currency"],
        source=refund.id,
        available_on=available_on,
    )
    context.store.save(refund)
    refund_records.add_to_charge(context, payment, amount)
    body["destination_payment_refund"] = refund.id
    record = context.store.put(KIND, body["id"], owner=transfer.owner, body=body)
    _add_to_transfer(context, transfer, record)
    return record


def _check_balance(context: Context, transfer: Record, amount: int) -> None:
    """An account whose losses Stripe bears must still have the money of a separate transfer. Others go below zero.

    What is pending on the balance counts. Sources: API reference, "Transfer reversals"; docs "Separate charges and
    transfers", "Reverse transfers"; docs "Understanding connected reserve balances".
    """
    source = context.store.find("charge", transfer.body["source_transaction"] or "")
    if source is not None and source.body.get("transfer") == transfer.id:
        return
    account = context.store.find("account", transfer.body["destination"])
    if account is None or account.body["controller"]["losses"]["payments"] == "application":
        return
    balances = context.ledger.balance(transfer.body["destination"])
    conversion = settlement.conversion(context.store, transfer.body["destination"], transfer.body["currency"])
    if conversion.of(amount) > sum(balances.get(conversion.currency, (0, 0))):
        message = "The connected account's balance does not cover this reversal."
        raise invalid(message, code="balance_insufficient", param="amount")


def _add_to_transfer(context: Context, transfer: Record, reversal: Record) -> None:
    body = transfer.body
    body["amount_reversed"] += reversal.body["amount"]
    body["reversed"] = body["amount_reversed"] == body["amount"]
    newest_first = [reversal.body, *body["reversals"]["data"]]
    body["reversals"] = list_of(body["reversals"]["url"], newest_first)
    context.store.save(transfer)
    context.emit(transfer, "transfer.reversed")


def _refund_fee(call: Call, transfer: Record, amount: int) -> None:
    """Refund the application fee in proportion, if `refund_application_fee` is set and there is one."""
    payment = call.context.store.get("charge", transfer.body["destination_payment"])
    fee = application_fees.of_payment(call.context, payment)
    if fee is None or not call.params.get("refund_application_fee"):
        return
    before = transfer.body["amount_reversed"]
    part = proportional_part(fee.body["amount"], before, before + amount, transfer.body["amount"])
    part = min(part, int(fee.body["amount"] - fee.body["amount_refunded"]))
    if part:
        application_fees.refund(call.context, fee, part)
