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
