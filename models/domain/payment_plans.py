"""Which payment plan a booking gets: chosen from the session's date, before there is a payment.

A hold is used while it is expected to last until the booking is decided. For a later session the student is charged
right away, up to the limit for which a platform may keep the money. Sources: Stripe, "Place a hold on a payment
method", "Using manual payouts" (the limits by country).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from models.domain.policy import Deadlines, PaymentPlan, latest_end

EXPECTED_HOLD = timedelta(days=7)
"""How long a card hold usually lasts. After the authorization, the charge's `capture_before` counts."""

_HOLDING_LIMIT = timedelta(days=90)
_HOLDING_LIMIT_BY_COUNTRY: Mapping[str, timedelta] = MappingProxyType(
    {"TH": timedelta(days=10), "US": timedelta(days=2 * 365)}
)

DELAYED_CONFIRMATION = timedelta(days=14)
"""The longest that a bank debit takes to succeed or fail (Stripe, "Delayed notification payment methods")."""


def holding_limit(country: str | None) -> timedelta:
    """How long a platform in `country` may keep funds before they are transferred or refunded."""
    return _HOLDING_LIMIT_BY_COUNTRY.get(country or "", _HOLDING_LIMIT)


def expected_end(plan: PaymentPlan, deadlines: Deadlines, secured_at: datetime) -> datetime:
    """Until when money that is secured at `secured_at` can be settled."""
    return secured_at + (EXPECTED_HOLD if plan is PaymentPlan.HOLD else deadlines.holding_limit)


def plan_for(deadlines: Deadlines, ends_at: datetime, booked_at: datetime) -> PaymentPlan | None:
    """The first plan that lasts until a session ending at `ends_at` is decided; `None` if none does yet."""
    return next((plan for plan in PaymentPlan if _last_end(plan, deadlines, booked_at) >= ends_at), None)


def bookable_from(deadlines: Deadlines, ends_at: datetime, now: datetime) -> datetime | None:
    """When a session that ends at `ends_at` becomes bookable; `None` if it is now."""
    too_late = min(ends_at - _last_end(plan, deadlines, now) for plan in PaymentPlan)
    return now + too_late if too_late > timedelta(0) else None


def _last_end(plan: PaymentPlan, deadlines: Deadlines, booked_at: datetime) -> datetime:
    return latest_end(deadlines, expected_end(plan, deadlines, booked_at))
