"""Charges: one attempt to charge a payment method, and the `py_` payment that a transfer creates.

Source: API reference, "Charges"; docs "Destination charges" for the connected account's payment.
"""

from sandbox.stripe.context import Call, Context
from sandbox.stripe.ids import new_id
from sandbox.stripe.instruments import Instrument
from sandbox.stripe.json_values import JsonObject, merged_metadata
from sandbox.stripe.lists import list_of, listed
from sandbox.stripe.payment_methods import NO_ADDRESS, account_details, instrument_of
from sandbox.stripe.store import Record

KIND = "charge"
STATEMENT_DESCRIPTOR = "HOLDFAST SANDBOX"


def retrieve(call: Call) -> JsonObject:
    return call.context.view(call.from_path(KIND, "charge"))


def list_all(call: Call) -> JsonObject:
    return listed(call, KIND, "/v1/charges", "customer", "payment_intent", "transfer_group")


def list_refunds(call: Call) -> JsonObject:
    charge = call.from_path(KIND, "charge")
    url = f"/v1/charges/{charge.id}/refunds"
    return listed(call, "refund", url, keep=lambda record: record.body["charge"] == charge.id)


def update(call: Call) -> JsonObject:
    record = call.from_path(KIND, "charge")
    record.body |= call.pick("description", "receipt_email", "customer", "transfer_group")
    record.body["metadata"] = merged_metadata(record.body["metadata"], call.params.get("metadata"))
    call.context.store.save(record)
    call.context.emit(record, "charge.updated", {})
    return call.context.view(record)


def refunds_included(context: Context, charge: JsonObject) -> JsonObject:
    """The list in `charge.refunds`, which a response has only if it is expanded."""
    refunds = context.store.newest_first("refund", lambda record: record.body["charge"] == charge["id"])
    return list_of(f"/v1/charges/{charge['id']}/refunds", [context.view(refund) for refund in refunds])


def make(context: Context, intent: Record, method: Record, *, failure: JsonObject | None = None) -> Record:
    """Create a PaymentIntent's charge, failed or authorized. The caller captures it."""
    instrument, is_card = instrument_of(method), method.body["type"] == "card"
    body = _blank(context, "ch" if is_card else "py", intent.body["amount"], intent.body["currency"])
    details = _card_details(instrument, intent.body["amount"], failure) if is_card else account_details(instrument)
    body |= {
        "application_fee_amount": intent.body["application_fee_amount"],
        "billing_details": method.body["billing_details"],
        "calculated_statement_descriptor": STATEMENT_DESCRIPTOR,
        "customer": intent.body["customer"],
        "description": intent.body["description"],
        "metadata": intent.body["metadata"],
        "on_behalf_of": intent.body["on_behalf_of"],
        "outcome": _outcome(None),
        "paid": True,
        "payment_intent": intent.id,
        "payment_method": method.id,
        "payment_method_details": {instrument.type: details, "type": instrument.type},
        "receipt_email": intent.body["receipt_email"],
        "receipt_url": None,
        "shipping": intent.body["shipping"],
        "statement_descriptor_suffix": intent.body["statement_descriptor_suffix"],
        "status": "succeeded",
        "transfer_data": _transfer_data(intent.body["transfer_data"]),
        "transfer_group": intent.body["transfer_group"],
    }
    if failure is not None:
        body |= failed(failure)
    return context.store.put(KIND, body["id"], owner=intent.owner, body=body, hidden={"number": instrument.number})


def failed(failure: JsonObject) -> JsonObject:
    """The fields of a charge that failed."""
    return {
        "failure_code": failure["code"],
        "failure_message": failure["message"],
        "outcome": _outcome(failure),
        "paid": False,
        "status": "failed",
    }


def make_payment(context: Context, transfer: JsonObject, application_fee: str | None, fee_amount: int) -> Record:
    """Create the connected account's side of a transfer: a `py_` charge whose source is the transfer."""
    body = _blank(context, "py", transfer["amount"], transfer["currency"])
    body |= {
        "amount_captured": transfer["amount"],
        "application": None,
        "application_fee": application_fee,
        "application_fee_amount": fee_amount if application_fee else None,
        "captured": True,
        "paid": True,
        "payment_method_details": {"stripe_account": {}, "type": "stripe_account"},
        "source_transfer": transfer["id"],
        "status": "succeeded",
        "transfer_group": None,
    }
    return context.store.put(KIND, body["id"], owner=transfer["destination"], body=body)


def _blank(context: Context, prefix: str, amount: int, currency: str) -> JsonObject:
    return {
        "id": new_id(prefix),
        "object": KIND,
        "amount": amount,
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": {
            "address": NO_ADDRESS,
            "email": None,
            "name": None,
            "phone": None,
            "tax_id": None,
        },
        "calculated_statement_descriptor": None,
        "captured": False,
        "created": context.now(),
        "currency": currency,
        "customer": None,
        "description": None,
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": False,
        "metadata": {},
        "on_behalf_of": None,
        "outcome": None,
        "paid": False,
        "payment_intent": None,
        "payment_method": None,
        "payment_method_details": None,
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "pending",
        "transfer_data": None,
        "transfer_group": None,
    }


def _outcome(failure: JsonObject | None) -> JsonObject:
    if failure is None:
        return {
            "advice_code": None,
            "network_advice_code": None,
            "network_decline_code": None,
            "network_status": "approved_by_network",
            "reason": None,
            "risk_level": "normal",
            "risk_score": 20,
            "seller_message": "Payment complete.",
            "type": "authorized",
        }
    return {
        "advice_code": failure.get("advice_code"),
        "network_advice_code": failure.get("network_advice_code"),
        "network_decline_code": failure.get("network_decline_code"),
        "network_status": "declined_by_network",
        "reason": failure.get("decline_code", failure["code"]),
        "risk_level": "normal",
        "risk_score": 20,
        "seller_message": "The bank did not return any further details with this decline.",
        "type": "issuer_declined",
    }


def _card_details(card: Instrument, amount: int, failure: JsonObject | None) -> JsonObject:
    details: JsonObject = {
        "amount_authorized": amount if failure is None else None,
        "authorization_code": "123456" if failure is None else None,
        "brand": card.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "US",
        "exp_month": 12,
        "exp_year": 2034,
        "extended_authorization": {"status": "disabled"},
        "fingerprint": card.fingerprint,
        "funding": "credit",
        "incremental_authorization": {"status": "unavailable"},
        "installments": None,
        "last4": card.last4,
        "mandate": None,
        "multicapture": {"status": "unavailable"},
        "network": card.brand,
        "network_token": {"used": False},
        "network_transaction_id": None,
        "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
        "regulated_status": "unregulated",
        "three_d_secure": None,
        "transaction_link_id": None,
        "wallet": None,
    }
    return details


def _transfer_data(data: JsonObject | None) -> JsonObject | None:
    return {"amount": data.get("amount"), "destination": data["destination"]} if data else None
