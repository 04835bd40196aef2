"""Customers (API reference, "Customers")."""

from sandbox.stripe.context import Call
from sandbox.stripe.ids import new_id, new_token
from sandbox.stripe.json_values import JsonObject, merged_metadata
from sandbox.stripe.lists import listed
from sandbox.stripe.payment_methods import NO_ADDRESS

KIND = "customer"
_SETTABLE = ("description", "email", "name", "phone", "preferred_locales", "tax_exempt", "shipping")


def create(call: Call) -> JsonObject:
    body: JsonObject = {
        "id": new_id("cus", 14),
        "object": KIND,
        "address": None,
        "balance": 0,
        "created": call.context.now(),
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": new_token(8).upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": merged_metadata(None, call.params.get("metadata")),
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }
    record = call.context.store.put(KIND, body["id"], owner=call.account, body=_with_params(body, call))
    call.context.emit(record, "customer.created")
    return call.context.view(record)


def retrieve(call: Call) -> JsonObject:
    return call.context.view(call.from_path(KIND, "customer"))


def update(call: Call) -> JsonObject:
    record = call.from_path(KIND, "customer")
    before = record.body
    after = _with_params(dict(before), call)
    after["metadata"] = merged_metadata(before["metadata"], call.params.get("metadata"))
    changed = {name: before[name] for name in after if after[name] != before[name]}
    record = call.context.store.put(KIND, record.id, owner=record.owner, body=after)
    call.context.emit(record, "customer.updated", changed)
    return call.context.view(record)


def delete(call: Call) -> JsonObject:
    record = call.from_path(KIND, "customer")
    call.context.emit(record, "customer.deleted")
    call.context.store.remove(KIND, record.id)
    return {"id": record.id, "object": KIND, "deleted": True}


def list_all(call: Call) -> JsonObject:
    return listed(call, KIND, "/v1/customers", "email")


def _with_params(body: JsonObject, call: Call) -> JsonObject:
    body |= {name: value if value != "" else None for name, value in call.pick(*_SETTABLE).items()}
    if call.params.get("address"):
        body["address"] = NO_ADDRESS | call.params["address"]
    return body
