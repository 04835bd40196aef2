"""OpenAPI examples, one per schema. Together they tell a story: Ada books an hour of counterpoint with Nadia."""

from typing import Any

from api.examples.after_session import (
    BOOKING_ID,
    ENDS_AT,
    EXAMPLES_AFTER_THE_SESSION,
    INSTRUCTOR_ID,
    NAMES,
    PAYOUT_OF_BOOKING,
    usd,
)
from api.examples.people import PEOPLE
from api.examples.refunds import LEDGER, OPERATOR_EXAMPLES, REFUND
from api.examples.reports import REPORTS
from api.examples.webhooks import WEBHOOKS
from api.http.problems import SCHEMA_NAME, Kind, example

_STUDENT_ID = "7c0e4b0a-2f59-4d6b-8a53-9f1f6a1f0c11"
_OFFERING_ID = "5a4d7f3c-1e2b-4c88-a0f6-3b9d8e7c6a33"
_SLOT_ID = "3f2b8c1e-6d0a-4a57-9b1d-0c5a7e9f1b24"

_SIGNED_UP_AT = "2026-02-20T09:00:00Z"
_BOOKED_AT = "2026-02-28T12:00:00Z"
_STARTS_AT = "2026-03-02T17:30:00Z"
_CHECKOUT_URL = "https://checkout.stripe.com/c/pay/cs_test_a1b2c3"


_PRICE = {
    "total": usd(10_000),
    "platform_fee": usd(2_000),
    "instructor_payout": usd(8_000),
    "currency": "usd",
}
_TIER = {"before_seconds": 86_400, "refund_bps": 10_000}
_LATE_TIER = {"before_seconds": 7_200, "refund_bps": 5_000}
_CANCELLATION = {"name": "moderate", "tiers": [_TIER, _LATE_TIER]}
_NO_SHOW = {"student_absent_refund_bps": 0, "instructor_absent_refund_bps": 10_000}
_REPORTED = {
    "absent": "student",
    "reported_by": "instructor",
    "reported_at": "2026-03-02T18:40:00Z",
    "contest_until": "2026-03-03T18:40:00Z",
    "contested_at": "2026-03-02T19:05:00Z",
    "verdict": "TOOK_PLACE",
}
_REPORTED_COMPLETION = {
    "reported_at": "2026-03-02T18:40:00Z",
    "object_until": "2026-03-03T18:40:00Z",
    "objected_at": "2026-03-02T19:05:00Z",
    "objection_reason": "Nobody was in the meeting.",
    "verdict": "NOTHING_RECORDED",
}
_WINDOWS = {
    "pay_within_seconds": 1_800,
    "pay_again_within_seconds": 300,
    "decide_within_seconds": 86_400,
    "report_within_seconds": 86_400,
    "contest_within_seconds": 86_400,
    "object_within_seconds": 86_400,
    "pay_again_before_start_seconds": 86_400,
    "pay_late_within_seconds": 259_200,
    "funds_kept_at_most_seconds": 7_776_000,
    "report_no_show_after_seconds": 600,
}
_POLICY = {
    "version": "6e0f1b9c4d2a8375",
    "platform_fee_bps": 2_000,
    "platform_fee_tax_bps": 0,
    "cancellation": _CANCELLATION,
    "no_show": _NO_SHOW,
    "on_completion_timeout": "RELEASE",
    "deadlines": _WINDOWS,
}
_SESSION = {
    "id": "c2b7d0f4-83e1-4f6b-9d5a-6e1f0a7b3c92",
    "status": "SCHEDULED",
    "total_price": usd(10_000),
    "platform_fee": usd(2_000),
    "instructor_payout": usd(8_000),
    "payment_status": "PENDING",
}
_PAYMENT = {
    "plan": "HOLD",
    "payment_intent_id": "pi_3MtwBwLkdIwHu7ix28a3tqPa",
    "status": "PENDING",
    "amount": usd(10_000),
    "captured": usd(0),
    "returned": usd(0),
    "platform_fee": usd(0),
    "hold_ends_at": "2026-03-07T12:03:00Z",
    "hold_lapsed_at": None,
    "renewal": None,
}
_PROPOSAL = {
    "slot_id": "8a1f0c2e-7b3d-4e5a-9c6b-2d4e6f8a0b57",
    "starts_at": "2026-03-03T17:30:00Z",
    "ends_at": "2026-03-03T18:30:00Z",
    "proposed_by": "student",
    "proposed_at": "2026-02-28T13:05:00Z",
}
_VISIT = {"joined_at": "2026-03-02T17:29:12Z", "left_at": "2026-03-02T18:31:40Z"}
_PRESENCE = {"visits": [_VISIT], "seconds": 3_600}
_ATTENDANCE = {
    "student": _PRESENCE,
    "instructor": _PRESENCE,
    "seconds_together": 3_600,
    "recordings_uploaded_at": ["2026-03-02T19:05:00Z"],
}
_DISPUTE = {
    "id": "du_1MtJUT2eZvKYlo2C",
    "booking_id": BOOKING_ID,
    **NAMES,
    "status": "NEEDS_RESPONSE",
    "is_inquiry": False,
    "reason": "product_not_received",
    "amount": usd(10_000),
    "respond_by": "2026-03-20T23:59:59Z",
    "taken_over_at": None,
    "answered_at": None,
    "closed_at": None,
    "created_at": "2026-03-11T09:00:00Z",
}
_PERIOD_METRICS = {
    "period_starts_on": "2026-03-01",
    "currency": "usd",
    "bookings": 50,
    "bookings_paid": 41,
    "conversion_bps": 8_200,
    "sessions_ended": 42,
    "sessions_completed": 40,
    "completion_bps": 9_523,
    "payments": 41,
    "gross_volume": usd(405_000),
    "refunded": usd(10_000),
    "refund_bps": 246,
    "disputes": 1,
    "dispute_bps": 243,
    "platform_revenue": usd(79_000),
    "stripe_fees": usd(14_500),
    "payout_lag_seconds": 216_000,
}
_BOOKING = {
    "id": BOOKING_ID,
    "status": "ACCEPTED",
    "title": "Counterpoint",
    "student_id": _STUDENT_ID,
    "student_name": "Ada Byron",
    "instructor_id": INSTRUCTOR_ID,
    "instructor_name": "Nadia Boulanger",
    "offering_id": _OFFERING_ID,
    "slot_id": _SLOT_ID,
    "starts_at": _STARTS_AT,
    "ends_at": ENDS_AT,
    "created_at": _BOOKED_AT,
    "updated_at": "2026-02-28T13:10:00Z",
    "price": _PRICE,
    "policy": _POLICY,
    "checkout_url": None,
    "session": _SESSION,
    "payment": _PAYMENT,
    "is_recorded": False,
    "payout": None,
    "proposal": _PROPOSAL,
    "no_show": None,
    "completion": None,
    "next_deadline_at": "2026-03-03T18:30:00Z",
    "at_deadline": "released",
    "end_reason": None,
    "rejection_reason": None,
}
_BOOKING_FOR_OPERATOR = _BOOKING | {
    # Later: they met, Nadia was paid, and an operator refunded a part.
    "status": "COMPLETED",
    "updated_at": REFUND["updated_at"],
    "session": _SESSION | {"status": "COMPLETED", "payment_status": "PARTIALLY_REFUNDED"},
    "payment": _PAYMENT
    | {
        "status": "PARTIALLY_REFUNDED",
        "captured": usd(10_000),
        "returned": REFUND["amount"],
        "platform_fee": usd(1_500),
        "hold_ends_at": None,
    },
    "payout": PAYOUT_OF_BOOKING,
    "proposal": None,
    "next_deadline_at": None,
    "at_deadline": None,
    "end_reason": "completed",
    "needs_attention": False,
    "attention_reason": None,
    "stripe_dashboard_url": f"https://dashboard.stripe.com/test/payments/{_PAYMENT['payment_intent_id']}",
    "attendance": _ATTENDANCE,
    "refunds": [REFUND],
}
_PROFILE = {"id": INSTRUCTOR_ID, "name": "Nadia Boulanger", "time_zone": "Europe/Paris"}
_PAYMENTS = {
    "can_be_paid": False,
    "requirements": ["external_account"],
    "disabled_reason": "requirements_past_due",
    "balances": [usd(8_000)],
}
_OFFERING = {
    "id": _OFFERING_ID,
    "instructor": _PROFILE,
    "title": "Counterpoint",
    "description": "Two voices at first. Bring a pencil.",
    "duration_minutes": 60,
    "buffer_before_minutes": 0,
    "buffer_after_minutes": 15,
    "min_notice_minutes": 60,
    "is_recorded": False,
    "is_active": True,
    "price": _PRICE,
    "policy": _POLICY,
    "created_at": _SIGNED_UP_AT,
}
_SLOT = {
    "id": _SLOT_ID,
    "offering_id": _OFFERING_ID,
    "starts_at": _STARTS_AT,
    "ends_at": ENDS_AT,
    "is_free": True,
    "payment_plan": "HOLD",
    "bookable_from": None,
}
_WEEKLY = {
    "weekday": "monday",
    "time": "18:30",
    "time_zone": "Europe/Paris",
    "from": "2026-03-01",
    "until": "2026-06-30",
}
_SIGN_IN = {"email": "ada@students.example", "password": "correct horse battery staple"}
_NEW_PASSWORD = "seven kites over the lighthouse"  # noqa: S105 - an example
_SETTINGS = {"name": "Ada Byron", "time_zone": "Europe/London", "language": "en-GB"}
_ADA = {"role": "student", "email": "ada@students.example", **_SETTINGS}

EXAMPLES: dict[str, dict[str, Any]] = {
    "PersonalAccount": {"id": _STUDENT_ID, **_ADA, "roles": ["student"], "created_at": _SIGNED_UP_AT},
    "AccountChange": _SETTINGS,
    "AdditionalRole": {"role": "instructor"},
    "SessionAttendance": _ATTENDANCE,
    "Booking": _BOOKING,
    "BookingCreated": {
        "id": BOOKING_ID,
        "status": "PENDING",
        "checkout_url": _CHECKOUT_URL,
        "expires_at": "2026-02-28T12:30:00Z",
        "payment_plan": "HOLD",
        "is_recorded": False,
        "price": _PRICE,
        "policy": _POLICY,
    },
    "BookingEvent": {
        "type": "booking.accepted",
        "at": "2026-02-28T13:10:00Z",
        "by": "instructor",
        "booking": _BOOKING,
    },
    "BookingForOperator": _BOOKING_FOR_OPERATOR,
    "BookingLedger": LEDGER,
    "BookingPage": {"data": [_BOOKING], "next_cursor": None},
    "BookingPageForOperator": {"data": [_BOOKING_FOR_OPERATOR], "next_cursor": None},
    "BusinessMetrics": {"since": "2026-03-01", "until": "2026-04-01", "interval": "month", "data": [_PERIOD_METRICS]},
    "CancellationTerms": _CANCELLATION,
    "CancellationQuote": {
        "booking_id": BOOKING_ID,
        "booking_status": "ACCEPTED",
        "refund": usd(5_000),
        "kept": usd(5_000),
        "platform_fee": usd(1_000),
        "instructor_payout": usd(4_000),
        "tier": _LATE_TIER,
        "quoted_at": "2026-03-02T08:00:00Z",
        "valid_until": "2026-03-02T15:30:00Z",
    },
    "CustomTiers": {"tiers": [_TIER]},
    "DisputePage": {"data": [_DISPUTE], "next_cursor": None},
    "DisputeDetails": _DISPUTE,
    "DeadlineExtension": {"until": "2026-03-01T12:00:00Z"},
    "Health": {"status": "ok"},
    "InstructorOfOffering": _PROFILE,
    "InstructorProfile": _PROFILE,
    "InvalidField": {"where": "body/slot_id", "why": "Field required"},
    "LedgerLine": LEDGER["balances"][0],
    "LedgerStep": LEDGER["data"][0],
    "OnboardingLink": {
        "url": "https://connect.stripe.com/setup/e/acct_1abc/d2e3f4",
        "expires_at": "2026-02-20T09:05:00Z",
    },
    "MeetingLink": {
        "url": "https://meet.example.org/9f2c4e?jwt=eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmVk",
        "room": "9f2c4e",
        "expires_at": "2026-03-02T19:00:00Z",
        "is_recorded": False,
    },
    "Money": usd(10_000),
    "RequestedPrice": usd(10_000),
    "NewBooking": {
        "slot_id": _SLOT_ID,
        "expected_price": usd(10_000),
        "expected_policy_version": _POLICY["version"],
        "allow_overlap": False,
    },
    "NewOffering": {
        "title": "Counterpoint",
        "description": "Two voices at first. Bring a pencil.",
        "price": usd(10_000),
        "duration_minutes": 60,
        "cancellation": "moderate",
        "buffer_after_minutes": 15,
        "min_notice_minutes": 60,
    },
    "NewPassword": {"token": "o3xQzKk0v0Yd9ZJ2mD0m3c1Rr5nT8wHq4uVbLfGs7eE", "password": _NEW_PASSWORD},
    "NewSlots": {"weekly": _WEEKLY},
    "NewTier": _TIER,
    "NoShowReport": {"absent": "student"},
    "Objection": {"reason": _REPORTED_COMPLETION["objection_reason"]},
    "ReportedCompletion": _REPORTED_COMPLETION,
    "ReportedNoShow": _REPORTED,
    "Settlement": {"reason": "Both sides wrote that they met elsewhere."},
    "Dismissal": {"reason": "The student has confirmed the payment."},
    "NoShowTerms": _NO_SHOW,
    "Offering": _OFFERING,
    "OfferingChange": {"price": usd(12_000), "is_active": True},
    "OfferingPage": {"data": [_OFFERING], "next_cursor": None},
    "RescheduleRequest": {"slot_id": _PROPOSAL["slot_id"]},
    "OwnInstructorProfile": {
        **_PROFILE,
        "email": "nadia@instructors.example",
        "created_at": _SIGNED_UP_AT,
        "payments": _PAYMENTS,
    },
    "BookingPayment": _PAYMENT,
    "PaymentRenewal": {
        "reason": "hold_too_short",
        "amount": usd(10_000),
        "pay_by": "2026-03-06T18:00:00Z",
        "checkout_url": "https://checkout.stripe.com/c/pay/cs_test_a1b2c3",
    },
    "PasswordChange": {"current_password": _SIGN_IN["password"], "new_password": _NEW_PASSWORD},
    "EmailVerification": {"token": "o3xQzKk0v0Yd9ZJ2mD0m3c1Rr5nT8wHq4uVbLfGs7eE"},
    "PasswordResetRequest": {"email": _SIGN_IN["email"]},
    "PaymentCapability": _PAYMENTS,
    "PeriodMetrics": _PERIOD_METRICS,
    "Policy": _POLICY,
    "MeetingPresence": _PRESENCE,
    "Price": _PRICE,
    SCHEMA_NAME: example(Kind.SLOT_TAKEN),
    "Proposal": _PROPOSAL,
    "RefundRequest": {"amount_minor": 2_500, "reason": "The lesson was cut short.", "borne_by": "BOTH"},
    "RefundDetails": REFUND,
    "RefundTier": _TIER,
    "Rejection": {"reason": "I am travelling that day."},
    "Session": _SESSION,
    "SignIn": {**_SIGN_IN, "role": "student"},
    "SignUp": {**_SIGN_IN, **_ADA},
    "Slot": _SLOT,
    "SlotPage": {"data": [_SLOT], "next_cursor": None},
    "SlotsCreated": {"data": [_SLOT]},
    "SlotsWithdrawn": {"withdrawn": 4, "booked": 1},
    "Token": {"access_token": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmVk", "token_type": "Bearer", "expires_in": 3_600},
    "MeetingVisit": _VISIT,
    "WeeklySlots": _WEEKLY,
    "PolicyDeadlines": _WINDOWS,
    **PEOPLE,
    **REPORTS,
    **EXAMPLES_AFTER_THE_SESSION,
    **WEBHOOKS,
    **OPERATOR_EXAMPLES,
}
"""By schema name."""
