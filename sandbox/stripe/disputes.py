"""Disputes: the cardholder's bank withdraws a charge, and the platform may respond with evidence.

    needs_response ──► under_review ──► won | lost
          └──► lost (closed, or no response by evidence_details.due_by)

The amount and the fee of a destination charge are debited from the platform. No transfer is reversed automatically.
Sources: API reference, "Disputes"; docs "How disputes work", "Testing" (winning and losing evidence).
"""

from sandbox.stripe import charges
from sandbox.stripe.context import Call, Context
from sandbox.stripe.errors import invalid
from sandbox.stripe.ids import new_id
from sandbox.stripe.json_values import JsonObject, merged_metadata
from sandbox.stripe.ledger import DAY_SECONDS, Fee
from sandbox.stripe.lists import listed
from sandbox.stripe.store import Record

KIND = "dispute"
OPEN_DISPUTE = "open_dispute"
LOSE_DISPUTE = "lose_dispute"
FEE_MINOR = 1_500

_DUE_SECONDS = 9 * DAY_SECONDS
_NETWORK_REASON_CODES = {"fraudulent": "10.4", "product_not_received": "13.1"}
_CLOSED = frozenset({"won", "lost"})
_EVIDENCE = (
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
)


def retrieve(call: Call) -> JsonObject:
    return call.context.view(call.from_path(KIND, "dispute"))


def list_all(call: Call) -> JsonObject:
    return listed(call, KIND, "/v1/disputes", "charge", "payment_intent")


def update(call: Call) -> JsonObject:
    """Update or submit evidence. `winning_evidence` or `losing_evidence` in `uncategorized_text` closes the dispute."""
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
        record.body["status"] = "under_review"
        context.timers.clear(LOSE_DISPUTE, record.id)
    context.store.save(record)
    context.emit(record, "charge.dispute.updated", {})
    text = record.body["evidence"]["uncategorized_text"]
    if submitted and text == "winning_evidence":
        record = win(context, record)
    elif submitted and text == "losing_evidence":
        record = lose(context, record)
    return context.view(record)


def close(call: Call) -> JsonObject:
    """Accept the dispute, which loses it."""
    record = call.from_path(KIND, "dispute")
    _require_open(record)
    return call.context.view(lose(call.context, record))


def open(context: Context, charge: Record, reason: str, *, fee_comes_back: bool = False) -> Record:
    """Withdraw the remaining amount of the charge, and a fee that Stripe returns for a won dispute in some countries.

    Raises:
        StripeError: 400 for a charge with no remaining amount, or one that is disputed already.
    """
    remaining = charge.body["amount_captured"] - charge.body["amount_refunded"]
    if charge.body["disputed"] or remaining <= 0 or charge.body["payment_intent"] is None:
        raise invalid(f"Charge {charge.id} can't be disputed.")
    body = _blank(context, charge, remaining, reason)
    fee = Fee("stripe_fee", FEE_MINOR, "Dispute fee")
    body["balance_transactions"] = [_post(context, charge, body["id"], -remaining, fee, "Chargeback withdrawal")]
    hidden: JsonObject = {"fee_comes_back": fee_comes_back}
    record = context.store.put(KIND, body["id"], owner=charge.owner, body=body, hidden=hidden)
    charge.body["disputed"] = True
    context.store.save(charge)
    context.timers.set(LOSE_DISPUTE, record.id, body["evidence_details"]["due_by"])
    context.emit(record, "charge.dispute.created")
    context.emit(record, "charge.dispute.funds_withdrawn")
    return record


def open_for_test_card(context: Context, charge_and_reason: str) -> None:
    """Open the dispute of a test card that is always disputed, right after its charge."""
    charge_id, _, reason = charge_and_reason.partition(":")
    charge = context.store.get(charges.KIND, charge_id)
    if not charge.body["disputed"] and charge.body["amount_refunded"] < charge.body["amount_captured"]:
        open(context, charge, reason)


def lose_when_due(context: Context, id: str) -> None:
    record = context.store.get(KIND, id)
    if record.body["status"] not in _CLOSED:
        record.body["evidence_details"]["past_due"] = True
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
    """Whether the charge has a dispute that was not won, so that it cannot be refunded."""
    disputes = (record for record in context.store.scan(KIND) if record.body["charge"] == charge.id)
    return any(record.body["status"] != "won" for record in disputes)


def _closed(context: Context, record: Record, status: str) -> Record:
    context.timers.clear(LOSE_DISPUTE, record.id)
    record.body["status"] = status
    context.store.save(record)
    return record


def _require_open(record: Record) -> None:
    if record.body["status"] in _CLOSED:
        raise invalid("This dispute is already closed.", code="dispute_already_closed")


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


def _blank(context: Context, charge: Record, amount: int, reason: str) -> JsonObject:
    card = charge.body["payment_method_details"]["card"]
    code = _NETWORK_REASON_CODES.get(reason, "13.7")
    return {
        "id": new_id("dp").replace("dp_", "du_"),
        "object": KIND,
        "amount": amount,
        "charge": charge.id,
        "created": context.now(),
        "currency": charge.body["currency"],
        "enhanced_eligibility_types": [],
        "evidence": dict.fromkeys(_EVIDENCE) | {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": context.now() + _DUE_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge.body["payment_intent"],
        "payment_method_details": {
            "card": {
                "brand": card["brand"],
                "case_type": "chargeback",
                "network": card["brand"],
                "network_reason_code": code,
            },
            "type": "card",
        },
        "reason": reason,
        "status": "needs_response",
    }
