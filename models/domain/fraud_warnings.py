"""Early fraud warnings: the card's bank says that a payment may be fraudulent. Ids and codes only."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from models.domain.base import Value

WARNED, DISMISSED = "booking.fraud_warning", "booking.fraud_warning_dismissed"
"""Their audit events. An operator has decided that a dismissed warning leads to nothing."""


ATTENTION_PREFIX = "The card's bank warns of fraud"
"""Attention because of a warning lasts beyond the booking's end, until the warning needs no action any more."""


class FraudWarning(Value):
    """A warning as read from Stripe at one moment."""

    warning_id: str
    payment_intent_id: str | None
    fraud_type: str
    """Stripe's code for what the bank suspects."""
    is_actionable: bool
    """The charge is neither disputed nor refunded in full."""


class FraudWarningOutcome(StrEnum):
    """What a warning leads to."""

    NO_REFUND = "no_refund"
    REFUND = "refund"
    LATER = "later"
    """The money is only held. It is looked at again."""


class CancelBooking(Value):
    """The charge of a booking whose session is still to come is to be refunded in full."""

    booking_id: UUID


class TakeFraudWarning(Value):
    warning_id: str
    refund_id: UUID
    """The id of the refund, if the booking's policy orders one."""
    at: datetime
