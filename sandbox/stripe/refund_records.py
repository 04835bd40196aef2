"""Refund objects, of charges and of transfer reversals, and their lifecycle.

    pending ──► succeeded ──► (the bank may still return it) failed
       └──────────────────────────────────────────────────────► failed

A day after a card refund has succeeded, it gets the reference with which the student's bank can find it.

If refunds wait for the balance (a setting of the control API), one that the platform's balance does not cover is
pending without a balance transaction until it does. A dispute of its charge makes it fail.

Sources: API reference, "The Refund object"; docs "Refunds: failed refunds", "Testing: refunds"; support
article "Pending refunds due to insufficient funds".
"""

from sandbox.stripe import settlement
from sandbox.stripe.context import Context
from sandbox.stripe.errors import invalid
from sandbox.stripe.ids import new_id
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.ledger import DAY_SECONDS
from sandbox.stripe.payment_method_types import BY_NAME
from sandbox.stripe.payment_methods import instrument_of
from sandbox.stripe.store import Record

KIND = "refund"
ARRIVE_REFUND = "arrive_refund"
FAIL_REFUND = "fail_refund"
GIVE_REFERENCE = "give_reference"
SEND_REFUND = "send_refund"

_SETTING = "sandbox.setting"
_WAIT = "refunds_wait_for_balance"
_BANK_SECONDS = 60


def make(context: Context, charge: Record, amount: int, *, source_transfer_reversal: str | None = None) -> Record:
    details = _destination(charge)
    body: JsonObject = {
        "id": new_id("re" if charge.id.startswith("ch_") else "pyr"),
        "object": KIND,
        "amount": amount,
        "balance_transaction": None,
        "charge": charge.id,
        "created": context.now(),
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
    return context.store.put(KIND, body["id"], owner=charge.owner, body=body)


def schedule_outcome(context: Context, refund: Record, charge: Record) -> None:
    """Schedule the refund's outcome.

    A test card defines its own, a minute from now (docs "Testing: refunds"). Some wallets answer later.
    """
    instrument = instrument_of(charge)
    if seconds := BY_NAME[instrument.type].refund_seconds:
        refund.body |= {"status": "pending", "pending_reason": "processing"}
        context.timers.set(ARRIVE_REFUND, refund.id, context.now() + seconds)
    match instrument.refunds:
        case "pending":
            refund.body |= {"status": "pending", "pending_reason": "processing"}
            context.timers.set(ARRIVE_REFUND, refund.id, context.now() + _BANK_SECONDS)
        case "fail":
            context.timers.set(FAIL_REFUND, refund.id, context.now() + _BANK_SECONDS)
    if refund.body["status"] == "succeeded":
        _schedule_reference(context, refund)


def set_waiting(context: Context, waits: bool) -> None:
    """Whether refunds wait for the platform's balance. Without it, the balance goes below zero."""
    context.store.put(_SETTING, _WAIT, owner="", body={"on": waits})


def must_wait(context: Context, refund: Record) -> bool:
    """Whether refunds wait, and the balance does not cover this one. What is pending on it counts."""
    setting = context.store.find(_SETTING, _WAIT)
    if setting is None or not setting.body["on"]:
        return False
    settled = settlement.conversion(context.store, refund.owner, refund.body["currency"])
    balance = context.ledger.balance(refund.owner).get(settled.currency, (0, 0))
    return sum(balance) < settled.of(refund.body["amount"])


def wait(context: Context, refund: Record) -> None:
    """Wait for the balance, which is looked at once a day."""
    refund.body |= {"status": "pending", "pending_reason": "insufficient_funds"}
    context.timers.set(SEND_REFUND, refund.id, context.now() + DAY_SECONDS)


def debit(context: Context, refund: Record, charge: Record) -> None:
    """Take the refund from the platform's balance, and set its outcome."""
    refund.body["balance_transaction"] = context.ledger.post(
        charge.owner,
        type="refund" if charge.id.startswith("ch_") else "payment_refund",
        amount=-refund.body["amount"],
        currency=charge.body["currency"],
        source=refund.id,
        available_on=context.ledger.available_on(charge.body["balance_transaction"]),
        description="REFUND FOR CHARGE",
    )
    schedule_outcome(context, refund, charge)


def send_when_due(context: Context, id: str) -> None:
    refund = context.store.get(KIND, id)
    if refund.body["status"] != "pending" or refund.body["balance_transaction"] is not None:
        return
    if must_wait(context, refund):
        wait(context, refund)
        return
    refund.body["status"] = "succeeded"
    refund.body.pop("pending_reason", None)
    debit(context, refund, context.store.get("charge", refund.body["charge"]))
    context.store.save(refund)
    for type in ("refund.updated", "charge.refund.updated"):
        context.emit(refund, type, {"pending_reason": "insufficient_funds"})


def fail_waiting(context: Context, charge: Record) -> Record:
    """Fail the refunds that wait for the balance, since the charge is disputed. Returns the charge."""
    for refund in context.store.newest_first(KIND, lambda refund: refund.body["charge"] == charge.id):
        if refund.body["status"] == "pending" and refund.body["balance_transaction"] is None:
            fail(context, refund, "charge_for_pending_refund_disputed")
    return context.store.get("charge", charge.id)


def arrive(context: Context, id: str) -> None:
    refund = context.store.get(KIND, id)
    if refund.body["status"] == "pending":
        succeed(context, refund)


def succeed(context: Context, refund: Record) -> Record:
    if refund.body["status"] != "pending":
        raise invalid(f"A refund that is {refund.body['status']} can't succeed.")
    if refund.body["balance_transaction"] is None:
        debit(context, refund, context.store.get("charge", refund.body["charge"]))
    refund.body["status"] = "succeeded"
    refund.body.pop("pending_reason", None)
    context.store.save(refund)
    context.emit(refund, "refund.updated", {"status": "pending"})
    _schedule_reference(context, refund)
    return refund


def give_reference(context: Context, id: str) -> None:
    """The refund's status stays `succeeded`: its events are about the reference alone."""
    refund = context.store.get(KIND, id)
    if refund.body["status"] != "succeeded":
        return
    before = dict(refund.body["destination_details"]["card"])
    number = f"{refund.sequence:023}"
    refund.body["destination_details"]["card"] |= {"reference": number, "reference_status": "available"}
    context.store.save(refund)
    for type in ("refund.updated", "charge.refund.updated"):
        context.emit(refund, type, {"destination_details": {"card": before, "type": "card"}})


def _schedule_reference(context: Context, refund: Record) -> None:
    """Schedule the reference of a card refund. Others have none here."""
    if refund.body.get("destination_details", {}).get("type") == "card":
        context.timers.set(GIVE_REFERENCE, refund.id, context.now() + DAY_SECONDS)


def _destination(charge: Record) -> JsonObject | None:
    if "number" not in charge.hidden:
        return None
    type = BY_NAME[instrument_of(charge).type]
    if type.name == "card":
        card = {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"}
        return {"card": card, "type": "card"}
    name = type.refund_destination
    return {name: {}, "type": name} if name else None


def fail_when_due(context: Context, id: str) -> None:
    refund = context.store.get(KIND, id)
    if refund.body["status"] in ("pending", "succeeded"):
        fail(context, refund, "expired_or_canceled_card")


def fail(context: Context, refund: Record, reason: str) -> Record:
    """The bank returned the money to the platform, possibly weeks after `succeeded`.

    The reversals of the transfer and of the fee stay.
    """
    before = refund.body["status"]
    if before not in ("pending", "succeeded") or refund.body["source_transfer_reversal"]:
        raise invalid(f"A refund that is {before} can't fail.")
    refund.body.pop("pending_reason", None)
    refund.body |= {"failure_reason": reason, "status": "failed"}
    if refund.body["balance_transaction"] is not None:
        refund.body["failure_balance_transaction"] = context.ledger.post(
            refund.owner,
            type="refund_failure",
            amount=refund.body["amount"],
            currency=refund.body["currency"],
            source=refund.id,
            description="REFUND FAILURE",
        )
    context.store.save(refund)
    add_to_charge(context, context.store.get("charge", refund.body["charge"]), -refund.body["amount"])
    for type in ("refund.updated", "charge.refund.updated"):
        context.emit(refund, type, {"status": before})
    context.emit(refund, "refund.failed")
    return refund


def add_to_charge(context: Context, charge: Record, amount: int) -> None:
    """Add a refund to its charge, or subtract a failed one (with a negative `amount`).

    `refunded` is true only if the whole captured amount was refunded.
    """
    charge.body["amount_refunded"] += amount
    charge.body["refunded"] = charge.body["amount_refunded"] == charge.body["amount_captured"]
    context.store.save(charge)
