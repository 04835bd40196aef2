"""Every journey of a booking, through the API and Stripe's pages, as students and instructors would take it.

Before the first journey, everyone signs up and the instructors are onboarded (`Marketplace.open`). Sessions start
within seconds and the platform's windows last seconds (`WINDOWS`). The policy is the default one.
"""

from dataclasses import dataclass

from models.domain.policy import PaymentPlan
from sandbox.demo.journeys import endings, money, outages, payment_plans, sessions
from sandbox.demo.steps import Journey

WINDOWS = {
    "HOLDFAST_CHECKOUT_WINDOW": "PT16S",
    "HOLDFAST_DECLINE_GRACE": "PT2S",
    "HOLDFAST_APPROVAL_WINDOW": "PT16S",
    "HOLDFAST_CONTEST_WINDOW": "PT4S",
    "HOLDFAST_OBJECTION_WINDOW": "PT4S",
}
UNLIMITED = {
    "HOLDFAST_MAX_UNPAID": "0",
    "HOLDFAST_MAX_UNPAID_PER_INSTRUCTOR": "0",
    "HOLDFAST_STRIPE_ACTIVITIES_PER_SECOND": "10000",
}
"""The same people make many bookings, and the sandbox does not have Stripe's rate limits."""
PAIRS = 9
"""Each is in several journeys. With fewer of them, sessions would start later, since no two of a pair's overlap."""


@dataclass(frozen=True)
class Expected:
    """The outcome of a journey, for a price of 100.00 USD. `booking` is `DELETED` if a read returns 410."""

    booking: str | None
    session: str | None
    payment: str | None
    student_paid_minor: int = 0
    instructor_received_minor: int = 0
    platform_kept_minor: int = 0
    plan: str | None = PaymentPlan.HOLD
    """Of the payment that the booking ended with."""


_PAID = (10_000, 8_000, 2_000)
_HALF = (5_000, 4_000, 1_000)
_CHARGED = PaymentPlan.CHARGE_THEN_TRANSFER

FIRST: dict[Journey, Expected] = {
    outages.worker_killed: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
}
"""Begun while people sign up, since it takes away the worker, which all others need."""
CONCURRENT: dict[Journey, Expected] = {
    outages.webhooks_lost: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
    payment_plans.hold_lapsed_paid_later: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID, _CHARGED),
    sessions.completion_timeout: Expected("CANCELLED", "CANCELLED", "REFUNDED"),
    money.captured_in_dashboard: Expected("CANCELLED", "CANCELLED", "PARTIALLY_REFUNDED", 5_000, 4_500, 500),
    endings.checkout_expired: Expected("DELETED", None, "FAILED"),
    endings.approval_timeout: Expected("EXPIRED", None, "REFUNDED"),
    payment_plans.hold_too_short_switched: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID, _CHARGED),
    payment_plans.far_completed: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID, _CHARGED),
    payment_plans.far_refunded_after_completion: Expected(
        "COMPLETED", "COMPLETED", "PARTIALLY_REFUNDED", *_HALF, _CHARGED
    ),
    payment_plans.far_disputed_before_transfer: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID, _CHARGED),
    sessions.completed: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
    sessions.completed_unseen: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
    sessions.completed_contradicted: Expected("NO_SHOW", "NO_SHOW", "REFUNDED"),
    sessions.completed_objected: Expected("COMPLETED", "COMPLETED", "PARTIALLY_REFUNDED", *_HALF),
    sessions.instructor_no_show: Expected("NO_SHOW", "NO_SHOW", "REFUNDED"),
    sessions.student_no_show: Expected("NO_SHOW", "NO_SHOW", "CAPTURED", *_PAID),
    sessions.no_show_contested: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
    sessions.completed_confirmed: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
    endings.slot_taken: Expected(None, None, None, plan=None),
    sessions.reset_after_settlement: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
    money.disputed_lost: Expected("COMPLETED", "COMPLETED", "REFUNDED"),
    money.disputed_won: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
    money.refunded_by_script: Expected("COMPLETED", "COMPLETED", "PARTIALLY_REFUNDED", *_HALF),
    payment_plans.klarna_completed: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
    endings.rejected: Expected("REJECTED", None, "REFUNDED"),
    endings.authorization_failed: Expected("DELETED", None, "FAILED"),
    endings.cancelled_early: Expected("CANCELLED", "CANCELLED", "REFUNDED"),
    endings.instructor_cancelled: Expected("CANCELLED", "CANCELLED", "REFUNDED"),
    endings.cancelled_late: Expected("CANCELLED", "CANCELLED", "PARTIALLY_REFUNDED", *_HALF),
    endings.cancelled_in_temporal: Expected("CANCELLED", "CANCELLED", "REFUNDED"),
    payment_plans.far_rejected: Expected("REJECTED", None, "REFUNDED", plan=_CHARGED),
    payment_plans.far_cancelled_half: Expected("CANCELLED", "CANCELLED", "PARTIALLY_REFUNDED", *_HALF, _CHARGED),
    payment_plans.beyond_limit_refused: Expected(None, None, None, plan=None),
}
"""Begun in this order: those that take the longest first."""
LAST: dict[Journey, Expected] = {
    money.refunded_after_completion: Expected("COMPLETED", "COMPLETED", "PARTIALLY_REFUNDED", *_HALF),
    money.payout_failed_then_paid: Expected("COMPLETED", "COMPLETED", "CAPTURED", *_PAID),
}
"""Begun with those. They end after all others, since they advance Stripe's clock for every booking."""
ALL = FIRST | CONCURRENT | LAST
