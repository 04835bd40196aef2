"""OpenAPI examples: a refund after Ada's session, and the booking's ledger."""

from typing import Any

BOOKING_ID = "d9428888-122b-51e1-b85c-61cd3cbb3210"


def usd(amount_minor: int) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": "usd"}


REFUND = {
    "id": "7c1e5a90-3b2d-5f48-9e6a-1d0c4b7f8a23",
    "status": "SUCCEEDED",
    "amount": usd(2_500),
    "borne_by": "BOTH",
    "reason": "The lesson was cut short.",
    "ordered_by": "4b1d6c0e-5f7a-4e0b-9c35-2a8f1d7e6b90",
    "fraud_warning_id": None,
    "instructor": usd(2_000),
    "platform_fee": usd(500),
    "platform_loss": usd(0),
    "stripe_refund_id": "re_1abc",
    "pending_reason": None,
    "failure_reason": None,
    "created_at": "2026-03-04T09:00:00Z",
    "updated_at": "2026-03-04T09:00:01Z",
}
_LINES = [
    {"account": "card_holds", "amount": usd(10_000)},
    {"account": "student_funds_held", "amount": usd(-10_000)},
]
LEDGER: dict[str, Any] = {
    "booking_id": BOOKING_ID,
    "data": [
        {
            "kind": "hold_placed",
            "what": "The student's card is authorized for the price.",
            "subject": BOOKING_ID,
            "at": "2026-02-28T12:00:00Z",
            "lines": _LINES,
        }
    ],
    "balances": _LINES,
}
_OUTCOME = {"student": usd(2_500), "platform": usd(1_500), "instructor": usd(6_000)}
_OPTION = {"action": "refund", "is_possible": True, "why_not": None, "needs_reason": False, "outcome": _OUTCOME}
_STRIPE_OBJECT = {
    "object": "payment_intent",
    "id": "pi_1abc",
    "url": "https://dashboard.stripe.com/test/payments/pi_1abc",
}
_EVENT = {
    "action": "booking.accepted",
    "at": "2026-02-28T13:00:00Z",
    "by": "instructor",
    "by_id": "0b5f6a0e-1c6a-4d0d-9c53-7c2d2b7b6a11",
    "channel": "api",
    "detail": {},
}
_MAIL = {
    "kind": "approved",
    "to": "student",
    "due_at": "2026-02-28T13:00:00Z",
    "sent_at": "2026-02-28T13:00:01Z",
    "gave_up_at": None,
    "last_error": None,
}
OPERATOR_EXAMPLES: dict[str, dict[str, Any]] = {
    "DecisionOutcome": _OUTCOME,
    "OperatorOption": _OPTION,
    "OperatorOptions": {"booking_id": BOOKING_ID, "data": [_OPTION], "refundable": usd(10_000)},
    "StripeObject": _STRIPE_OBJECT,
    "TracedEvent": _EVENT,
    "TracedMail": _MAIL,
    "BookingTrace": {
        "booking_id": BOOKING_ID,
        "workflow_id": f"booking-{BOOKING_ID}",
        "temporal_url": f"https://temporal.example/namespaces/default/workflows/booking-{BOOKING_ID}",
        "stripe": [_STRIPE_OBJECT],
        "events": [_EVENT],
        "mails": [_MAIL],
    },
}
