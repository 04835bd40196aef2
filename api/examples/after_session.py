"""OpenAPI examples: the recording, Nadia's payout, and a reconciliation."""

from typing import Any

INSTRUCTOR_ID = "0b7d5f0e-8a1c-4a63-9d1e-6a2f4f3b7c22"
BOOKING_ID = "d9428888-122b-51e1-b85c-61cd3cbb3210"
ENDS_AT = "2026-03-02T18:30:00Z"
NAMES = {"title": "Counterpoint", "student_name": "Ada Byron", "instructor_name": "Nadia Boulanger"}


def usd(amount_minor: int) -> dict[str, Any]:
    return {"amount_minor": amount_minor, "currency": "usd"}


_RECORDING = {
    "url": "https://recordings.example.org/9f2c4e.mp4?signature=3f9a1c",
    "uploaded_at": "2026-03-02T19:05:00Z",
    "expires_at": "2026-03-03T19:05:00Z",
}
_RECONCILIATION_ID = "1f0a3c5e-7b9d-4e2f-8a6c-0d1b2c3e4f5a"
_FAILURE = {
    "code": "account_closed",
    "why": "The bank account has been closed.",
    "what_to_do": "Add another bank account at Stripe. The next payout goes there automatically.",
}
PAYOUT_OF_BOOKING = {
    "status": "FAILED",
    "amount": usd(8_000),
    "transferred": None,
    "platform_fee": usd(2_000),
    "stripe_payout_id": "po_1OaFDbEcg9tTZuTgNYmX0PKB",
    "expected_at": "2026-03-06T00:00:00Z",
    "paid_at": None,
    "failure": _FAILURE,
}
_PAYOUT = {
    "id": "c2a9f1d4-7e3b-4f5a-8d6c-1b0e9f8a7c60",
    "booking_id": BOOKING_ID,
    **NAMES,
    **PAYOUT_OF_BOOKING,
    "created_at": ENDS_AT,
    "updated_at": "2026-03-06T09:00:00Z",
}
_PAYOUT_FOR_OPERATOR = {**_PAYOUT, "instructor_id": INSTRUCTOR_ID}
_OWED = {"instructor_id": INSTRUCTOR_ID, "instructor_name": NAMES["instructor_name"], "balance": usd(-4_000)}
_TOTAL = {"book": "stripe_balance", "ledger": usd(67_200), "stripe": usd(67_200)}
_RECONCILIATION = {
    "id": _RECONCILIATION_ID,
    "by": "platform",
    "started_at": "2026-03-06T10:00:00Z",
    "finished_at": "2026-03-06T10:00:08Z",
    "accounts_read": 31,
    "events_read": 244,
    "events_redelivered": 1,
    "workflows_checked": 2,
    "workflows_failed": 0,
    "holds_released": 1,
    "balance_transactions_read": 120,
    "transactions_read": 205,
    "bookings_compared": 40,
    "balances_compared": 31,
    "fees_booked": 0,
    "drifts": 0,
    "drifts_omitted": 0,
    "totals": [_TOTAL],
}
_DRIFT: dict[str, Any] = {
    "id": "9b8a7c6d-5e4f-5a3b-8c2d-1e0f9a8b7c6d",
    "kind": "booking",
    "booking_id": BOOKING_ID,
    **NAMES,
    "instructor_id": None,
    "book": "stripe_balance",
    "ledger": usd(1_680),
    "stripe": usd(-3_320),
    "difference": usd(5_000),
    "detail": "",
    "way_out": "Adjust the ledger, once the booking has ended, or put it right at Stripe.",
    "reconciliation_id": _RECONCILIATION_ID,
    "found_at": "2026-03-06T10:00:08Z",
    "seen_at": "2026-03-06T10:00:08Z",
    "resolved_at": None,
    "adjusted_at": None,
}
_ADJUSTMENT = {
    "booking_id": BOOKING_ID,
    "instructor_id": None,
    "is_posted": True,
    "lines": [
        {"account": "stripe_balance", "amount": usd(-1_000)},
        {"account": "connected_balance", "amount": usd(1_000)},
        {"account": "instructor_payable", "amount": usd(-1_000)},
        {"account": "platform_revenue", "amount": usd(1_000)},
    ],
    "drift_ids": [_DRIFT["id"]],
}

EXAMPLES_AFTER_THE_SESSION: dict[str, dict[str, Any]] = {
    "AdjustmentRequest": {
        "drift_id": _DRIFT["id"],
        "reason": "Half of the fee was returned in the dashboard, as agreed by phone.",
        "preview": False,
    },
    "Adjustment": _ADJUSTMENT,
    "DriftAdjustmentRequest": {"reason": "A bonus for the spring term.", "preview": True},
    "ComparedTotal": _TOTAL,
    "DriftPage": {"data": [_DRIFT], "next_cursor": None},
    "DriftDetails": _DRIFT,
    "NegativeBalance": _OWED,
    "NegativeBalances": {"data": [_OWED], "has_more": False},
    "Payout": _PAYOUT,
    "PayoutFailure": _FAILURE,
    "PayoutForOperator": _PAYOUT_FOR_OPERATOR,
    "BookingPayout": PAYOUT_OF_BOOKING,
    "PayoutPage": {"data": [_PAYOUT], "balances": [usd(8_000)], "next_cursor": None},
    "PayoutPageForOperator": {"data": [_PAYOUT_FOR_OPERATOR], "next_cursor": None},
    "RecordingLink": _RECORDING,
    "RecordingLinks": {"data": [_RECORDING]},
    "ReconciliationOrdered": {"id": _RECONCILIATION_ID},
    "ReconciliationPage": {"data": [_RECONCILIATION], "next_cursor": None},
    "ReconciliationRun": _RECONCILIATION,
}
