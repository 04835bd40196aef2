"""The body of a new dispute, or of a new inquiry.

Source: API reference, "The Dispute object".
"""

from sandbox.stripe.context import Context
from sandbox.stripe.ids import new_id
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.ledger import DAY_SECONDS
from sandbox.stripe.store import Record

KIND = "dispute"
DUE_SECONDS = 9 * DAY_SECONDS

_NETWORK_REASON_CODES = {"fraudulent": "10.4", "product_not_received": "13.1"}
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


def blank(context: Context, charge: Record, amount: int, reason: str, *, inquiry: bool) -> JsonObject:
    return {
        "id": new_id("dp").replace("dp_", "du_"),
        "object": KIND,
        "amount": amount,
        "balance_transactions": [],
        "charge": charge.id,
        "created": context.now(),
        "currency": charge.body["currency"],
        "enhanced_eligibility_types": [],
        "evidence": dict.fromkeys(_EVIDENCE) | {"enhanced_evidence": {}},
        "evidence_details": {
            "due_by": context.now() + DUE_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge.body["payment_intent"],
        "payment_method_details": _details(charge.body["payment_method_details"], reason, inquiry=inquiry),
        "reason": reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
    }


def _details(paid_with: JsonObject, reason: str, *, inquiry: bool) -> JsonObject | None:
    """Stripe describes disputes of these types only."""
    match paid_with["type"]:
        case "card":
            brand = paid_with["card"]["brand"]
            card = {
                "brand": brand,
                "case_type": "inquiry" if inquiry else "chargeback",
                "network": brand,
                "network_reason_code": _NETWORK_REASON_CODES.get(reason, "13.7"),
            }
            return {"card": card, "type": "card"}
        case "klarna" | "paypal":
            return {paid_with["type"]: {"reason_code": None}, "type": paid_with["type"]}
        case "amazon_pay":
            return {"amazon_pay": {"dispute_type": "chargeback"}, "type": "amazon_pay"}
        case _:
            return None
