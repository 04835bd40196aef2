"""Disputes: the cardholder's bank withdraws a charge, and the platform may respond with evidence.

    needs_response ──► under_review ──► won | lost
          └──► lost (closed, or no response by evidence_details.due_by)

An inquiry asks first, and withdraws nothing:

    warning_needs_response ──► warning_under_review ──► warning_closed (after 120 days, or the charge is refunded)
          └───────────────────────────┴──► needs_response (the bank escalates it)

The amount and the fee of a destination charge are debited from the platform. No transfer is reversed automatically. A
dispute of a bank debit is final: it is lost at once.
Sources: API reference, "Disputes"; docs "How disputes work", "Testing" (evidence).
"""

from collections.abc import Callable

from sandbox.stripe import charges, early_fraud_warnings, refund_records
from sandbox.stripe.context import Call, Context
from sandbox.stripe.dispute_bodies import DUE_SECONDS, KIND, blank
from sandbox.stripe.errors import invalid
from sandbox.stripe.json_values import JsonObject, merged_metadata
from sandbox.stripe.ledger import DAY_SECONDS, Fee
from sandbox.stripe.lists import listed
from sandbox.stripe.payment_method_types import BY_NAME
from sandbox.stripe.payment_methods import instrument_of
from sandbox.stripe.store import Record

OPEN_DISPUTE = "open_dispute"
LOSE_DISPUTE = "lose_dispute"
CLOSE_INQUIRY = "close_inquiry"
FEE_MINOR = 1_500

_INQUIRY_SECONDS = 120 * DAY_SECONDS
_CLOSED = frozenset({"won", "lost", "warning_closed"})


def retrieve(call: Call) -> JsonObject:
    return call.context.view(call.from_path(KIND, "dispute"))


def list_all(call: Call) -> JsonObject:
    return listed(call, KIND, "/v1/disputes", "charge", "payment_intent")


def update(call: Call) -> JsonObject:
    """Update or submit evidence. Stripe's test evidence in `uncategorized_text` decides the outcome."""
    record, params, context = call.from_path(KIND, "dispute"), call.params, call.context
    _require_open(record)
    evidence = params.get("evidence")
    if evidence:
        record.body["evidence"] |= {name: value or None for name, value in evidence.items()}
        record.body["evidence_details"]["has_evidence"] = True
    record.body["metadata"] = merged_metadata(record.body["metadata"], params.get("metadata"))
    submitted = params.get("submit", bool(evidence)) and record.body["evidence_details"]["has_evidence"]
    if submitted:
        record.body["evidence_details"]["submission_count"] += 1
        record.body["evidence_details"]["submission_method"] = "manual"
        record.body["status"] = "warning_under_review" if _is_inquiry(record) else "under_review"
        context.timers.clear(LOSE_DISPUTE, record.id)
    context.store.save(record)
    context.emit(record, "charge.dispute.updated", {})
    text = record.body["evidence"]["uncategorized_text"]
    decide = (_INQUIRY_OUTCOMES if _is_inquiry(record) else _OUTCOMES).get(text) if submitted else None
    return context.view(decide(context, record) if decide else record)


def close(call: Call) -> JsonObject:
    """Accept the dispute, which loses it."""
    record = call.from_path(KIND, "dispute")
    _require_open(record)
    return call.context.view((close_inquiry if _is_inquiry(record) else lose)(call.context, record))


def open(
    context: Context, charge: Record, reason: str, *, fee_comes_back: bool = False, inquiry: bool = False
) -> Record:
    """Withdraw the remaining amount of the charge, and a fee that Stripe returns for a won dispute in some countries.

    An inquiry withdraws nothing.

    Raises:
        StripeError: 400 for a charge with no remaining amount, or one that is disputed already.
    """
    if not inquiry:
        charge = refund_records.fail_waiting(context, charge)
    remaining = charge.body["amount_captured"] - charge.body["amount_refunded"]
    type = charge.body["payment_method_details"]["type"]
    if charge.body["disputed"] or remaining <= 0 or charge.body["payment_intent"] is None:
        raise invalid(f"Charge {charge.id} can't be disputed.")
    if inquiry and type != "card":
        raise invalid("The sandbox models inquiries about cards only.", param="inquiry")
    body = blank(context, charge, remaining, reason, inquiry=inquiry)
    hidden: JsonObject = {"fee_comes_back": fee_comes_back}
    record = context.store.put(KIND, body["id"], owner=charge.owner, body=body, hidden=hidden)
    charge.body["disputed"] = True
    context.store.save(charge)
    context.timers.set(LOSE_DISPUTE, record.id, body["evidence_details"]["due_by"])
    if inquiry:
        context.timers.set(CLOSE_INQUIRY, record.id, context.now() + _INQUIRY_SECONDS)
    else:
        _withdraw(context, record, charge)
    context.emit(record, "charge.dispute.created")
    early_fraud_warnings.settle(context, charge)
    if not inquiry:
        context.emit(record, "charge.dispute.funds_withdrawn")
    return lose(context, record) if BY_NAME[type].confirmed_after_days else record


def escalate(context: Context, record: Record) -> Record:
    """The bank turns an inquiry into a dispute, which takes the money and needs a response of its own."""
    if not _is_inquiry(record) or record.body["status"] in _CLOSED:
        raise invalid(f"Dispute {record.id} is no open inquiry.")
    context.timers.clear(CLOSE_INQUIRY, record.id)
    charge = refund_records.fail_waiting(context, context.store.get(charges.KIND, record.body["charge"]))
    before, due_by = record.body["status"], context.now() + DUE_SECONDS
    remaining = charge.body["amount_captured"] - charge.body["amount_refunded"]
    record.body |= {"amount": remaining, "is_charge_refundable": False, "status": "needs_response"}
    record.body["evidence_details"] |= {"due_by": due_by, "past_due": False}
    record.body["payment_method_details"]["card"]["case_type"] = "chargeback"
    _withdraw(context, record, charge)
    context.timers.set(LOSE_DISPUTE, record.id, due_by)
    context.emit(record, "charge.dispute.updated", {"status": before})
    context.emit(record, "charge.dispute.funds_withdrawn")
    return record


def close_inquiry(context: Context, record: Record) -> Record:
    """The bank drops an inquiry. No money has moved."""
    context.emit(_closed(context, record, "warning_closed"), "charge.dispute.closed")
    return record


def close_inquiry_when_due(context: Context, id: str) -> None:
    record = context.store.get(KIND, id)
    if record.body["status"] not in _CLOSED:
        close_inquiry(context, record)


def close_refunded_inquiries(context: Context, charge: Record) -> None:
    """A charge that is refunded in full has its inquiries resolved (docs "How disputes work", "Inquiries")."""
    if not charge.body["refunded"]:
        return
    for record in list(context.store.scan(KIND)):
        if record.body["charge"] == charge.id and _is_inquiry(record) and record.body["status"] not in _CLOSED:
            close_inquiry(context, record.copy())


def open_for_test_card(context: Context, charge_and_reason: str) -> None:
    """Open the dispute of a test card that is always disputed, right after its charge."""
    charge_id, _, reason = charge_and_reason.partition(":")
    charge = context.store.get(charges.KIND, charge_id)
    if not charge.body["disputed"] and charge.body["amount_refunded"] < charge.body["amount_captured"]:
        open(context, charge, reason, inquiry=instrument_of(charge).inquiry)


def lose_when_due(context: Context, id: str) -> None:
    """An inquiry without a response is only past due: the bank may still drop or escalate it."""
    record = context.store.get(KIND, id)
    if record.body["status"] in _CLOSED:
        return
    record.body["evidence_details"]["past_due"] = True
    if _is_inquiry(record):
        context.emit(context.store.save(record), "charge.dispute.updated", {})
    else:
        lose(context, record)


def win(context: Context, record: Record) -> Record:
    """Reinstate the amount, and the fee where Stripe returns it."""
    _require_open(record)
    charge = context.store.get(charges.KIND, record.body["charge"])
    fee = Fee("stripe_fee", -FEE_MINOR, "Dispute fee refund") if record.hidden["fee_comes_back"] else None
    reinstatement = _post(context, charge, record.id, record.body["amount"], fee, "Chargeback reversal")
    record.body["balance_transactions"].append(reinstatement)
    record.body["is_charge_refundable"] = True
    context.emit(_closed(context, record, "won"), "charge.dispute.funds_reinstated")
    context.emit(record, "charge.dispute.closed")
    return record


def lose(context: Context, record: Record) -> Record:
    _require_open(record)
    context.emit(_closed(context, record, "lost"), "charge.dispute.closed")
    return record


def blocks_refunds(context: Context, charge: Record) -> bool:
    """Whether the charge has a dispute that was not won, so that it cannot be refunded. An inquiry does not count."""
    disputes = (record for record in context.store.scan(KIND) if record.body["charge"] == charge.id)
    return any(record.body["status"] != "won" and not _is_inquiry(record) for record in disputes)


_OUTCOMES: dict[str | None, Callable[[Context, Record], Record]] = {"winning_evidence": win, "losing_evidence": lose}
_INQUIRY_OUTCOMES: dict[str | None, Callable[[Context, Record], Record]] = {
    "winning_evidence": close_inquiry,
    "escalate_inquiry_evidence": escalate,
}


def _is_inquiry(record: Record) -> bool:
    return str(record.body["status"]).startswith("warning_")


def _closed(context: Context, record: Record, status: str) -> Record:
    context.timers.clear(LOSE_DISPUTE, record.id)
    context.timers.clear(CLOSE_INQUIRY, record.id)
    record.body |= {"is_charge_refundable": status in ("won", "warning_closed"), "status": status}
    context.store.save(record)
    return record


def _require_open(record: Record) -> None:
    if record.body["status"] in _CLOSED:
        raise invalid("This dispute is already closed.", code="dispute_already_closed")


def _withdraw(context: Context, record: Record, charge: Record) -> None:
    fee = Fee("stripe_fee", FEE_MINOR, "Dispute fee")
    withdrawal = _post(context, charge, record.id, -record.body["amount"], fee, "Chargeback withdrawal")
    record.body["balance_transactions"] = [withdrawal]
    context.store.save(record)


def _post(context: Context, charge: Record, dispute: str, amount: int, fee: Fee | None, what: str) -> JsonObject:
    id = context.ledger.post(
        charge.owner,
        type="adjustment",
        amount=amount,
        currency=charge.body["currency"],
        source=dispute,
        fee=fee,
        available_on=context.ledger.available_on(charge.body["balance_transaction"]),
        description=f"{what} for {charge.id}",
        reporting_category="dispute" if amount < 0 else "dispute_reversal",
    )
    return context.view(context.store.get("balance_transaction", id))
