"""Renewals: a student pays again, because the hold does not last until the session, or has ended before it was settled.

The new payment is charged right away (`PaymentPlan.CHARGE_THEN_TRANSFER`). Only once it is secured is the old hold
released, so nobody pays twice.
"""

from datetime import datetime
from enum import StrEnum

from models.domain.base import Value
from models.domain.money import Money
from models.domain.policy import LONGEST_CHECKOUT, SHORTEST_CHECKOUT

LATE_PAYMENT_MISSING = "the hold ended before it was settled, and the student has not paid again"
"""Why a booking waits for an operator. A retry asks the student once more."""


class RenewalReason(StrEnum):
    """Stable: API clients branch on it."""

    HOLD_TOO_SHORT = "hold_too_short"
    """The hold ends before the session, which may have been moved."""
    HOLD_LAPSED = "hold_lapsed"
    """The hold has ended, or was released in Stripe's dashboard."""


class Renewal(Value):
    """A payment that is to be made again."""

    reason: RenewalReason
    amount: Money
    pay_by: datetime
    page: int
    """Stripe closes a Checkout page within a day, so there may be several. Numbered from 1 within a booking."""
    is_final: bool = False
    """What the booking's end keeps is due, not the price of a session that is still to come. If it is not paid, an
    operator decides."""
    is_reminder: bool = False
    """Not the first page."""
    checkout_session_id: str | None = None
    """The page's session. `None` until it is open."""
    page_ends_at: datetime | None = None

    def until(self, pay_by: datetime) -> "Renewal":
        return self.model_copy(update={"pay_by": pay_by})

    def opened(self, checkout_session_id: str, page_ends_at: datetime) -> "Renewal":
        return self.model_copy(update={"checkout_session_id": checkout_session_id, "page_ends_at": page_ends_at})

    def next_page(self) -> "Renewal":
        update = {"page": self.page + 1, "is_reminder": True, "checkout_session_id": None, "page_ends_at": None}
        return self.model_copy(update=update)


def page_ends(opened_at: datetime, pay_by: datetime) -> datetime:
    """When Stripe is to close the page: Stripe allows 30 minutes to 24 hours."""
    return min(max(pay_by, opened_at + SHORTEST_CHECKOUT), opened_at + LONGEST_CHECKOUT)
