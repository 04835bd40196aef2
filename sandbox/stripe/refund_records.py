"""The Refund object, whichever way it comes about, and its mark on the charge."""

from sandbox.stripe.ids import new_id
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.store import Record
from sandbox.stripe.world import World

KIND = "refund"


def make(
    world: World, charge: Record, prefix: str, amount: int, *, source_transfer_reversal: str | None = None
) -> Record:
    details: JsonObject | None = None
    if prefix == "re":
        card = {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}
        details = {"card": card, "type": "card"}
    body: JsonObject = {
        "id": new_id(prefix),
        "object": KIND,
        "amount": amount,
        "balance_transaction": None,
        "charge": charge.id,
        "created": world.now(),
        "currency": charge.body["currency"],
        "customer": charge.body["customer"],
        "customer_account": None,
        "metadata": {},
        "payment_intent": charge.body["payment_intent"],
        "payment_method": charge.body["payment_method"],
        "reason": None,
        "receipt_number": None,
        "source_transfer_reversal": source_transfer_reversal,
        "status": "succeeded",
        "transfer_reversal": None,
    }
    if details is not None:
        body["destination_details"] = details
    return world.store.put(KIND, body["id"], owner=charge.owner, body=body)


def count_in(world: World, charge: Record, amount: int) -> None:
    """Add a refund to its charge. `refunded` is true only when all that was captured went back."""
    charge.body["amount_refunded"] += amount
    charge.body["refunded"] = charge.body["amount_refunded"] == charge.body["amount_captured"]
    world.store.save(charge)
