"""Early fraud warnings: the card's bank says that a charge may be fraudulent, and often disputes it later.

Sources: API reference, "Early Fraud Warnings"; docs "Early fraud warnings", "Testing".
"""

from sandbox.stripe import charges
from sandbox.stripe.context import Call, Context
from sandbox.stripe.ids import new_id
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.lists import listed
from sandbox.stripe.payment_methods import instrument_of
from sandbox.stripe.store import Record

KIND = "radar.early_fraud_warning"
OPEN_WARNING = "open_warning"


def retrieve(call: Call) -> JsonObject:
    return call.context.view(call.from_path(KIND, "early_fraud_warning"))


def list_all(call: Call) -> JsonObject:
    return listed(call, KIND, "/v1/radar/early_fraud_warnings", "charge", "payment_intent")


def open(context: Context, charge: Record, fraud_type: str) -> Record:
    body: JsonObject = {
        "id": new_id("issfr"),
        "object": KIND,
        "actionable": not _is_settled(charge),
        "charge": charge.id,
        "created": context.now(),
        "fraud_type": fraud_type,
        "livemode": False,
        "payment_intent": charge.body["payment_intent"],
    }
    record = context.store.put(KIND, body["id"], owner=charge.owner, body=body)
    context.emit(record, f"{KIND}.created")
    return record


def open_for_test_card(context: Context, charge_id: str) -> None:
    """Open the warning of a test card that always has one, right after its charge."""
    charge = context.store.get(charges.KIND, charge_id)
    open(context, charge, instrument_of(charge).fraud_type or "misc")


def settle(context: Context, charge: Record) -> None:
    """A warning needs no action any more once its charge is disputed or refunded in full."""
    if not _is_settled(charge):
        return
    for record in context.store.newest_first(KIND, lambda record: record.body["charge"] == charge.id):
        if record.body["actionable"]:
            record.body["actionable"] = False
            context.emit(context.store.save(record), f"{KIND}.updated", {"actionable": True})


def _is_settled(charge: Record) -> bool:
    return bool(charge.body["disputed"] or charge.body["refunded"])
