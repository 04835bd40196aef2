"""A booking's payment as read from Stripe, and the messages of the activities that move it. Ids and amounts only."""

from datetime import datetime
from enum import StrEnum
from typing import Self
from uuid import UUID

from models.domain.base import Value
from models.domain.conversions import Conversion
from models.domain.money import Money
from models.domain.policy import PaymentPlan, Split
from models.domain.renewals import Renewal
from models.domain.terms import BookingTerms

PAYMENT_PROCESSING = "payment_processing"
"""The code with which a payment is not released yet: its method, such as a bank debit, is still confirming it."""
PAID_AGAIN = "paid_again"
"""The code with which the page of a renewal is not closed: the student has paid on it."""
CHARGE_DISPUTED = "charge_disputed"
"""The code with which a charge is not settled yet: its dispute is open."""


def stripe_dashboard(checkout_session_id: str | None) -> str:
    """Test mode has a path of its own. The Checkout Session's id names the mode."""
    is_test = (checkout_session_id or "").startswith("cs_test_")
    return f"https://dashboard.stripe.com/{'test/' if is_test else ''}"


class Checkout(Value):
    """The Checkout Session on which the student pays. Its URL, where anyone can pay, is only in the booking's row."""

    checkout_session_id: str
    customer_id: str
    expires_at: datetime


class HoldPhase(StrEnum):
    """The phase of a payment, as Stripe reports it."""

    OPEN = "OPEN"
    """Not paid yet; it still can be."""
    PROCESSING = "PROCESSING"
    """Paid with a method, such as a bank debit, that takes days to confirm."""
    CLOSED = "CLOSED"
    """Never paid; it no longer can be."""
    HELD = "HELD"
    """Authorized and not captured; under `CHARGE_THEN_TRANSFER`, charged and not transferred."""
    CAPTURED = "CAPTURED"
    """A part of it is the instructor's."""
    GONE = "GONE"
    """Held and then returned: by Holdfast, by Stripe when the hold ended, or manually in Stripe's dashboard."""


class PaymentState(Value):
    """A payment as read from Stripe at one moment. Amounts in minor units of the price's currency."""

    phase: HoldPhase
    checkout_session_id: str | None = None
    payment_intent_id: str | None = None
    charge_id: str | None = None
    hold_ends_at: datetime | None = None
    """Only while there is a hold."""
    captured_minor: int = 0
    refunded_minor: int = 0
    """The refunded part of what was captured. Releasing a hold is not a refund."""
    refund_ids: tuple[str, ...] = ()
    """Stripe's ids of the refunds that this part went back with, whoever made them."""
    platform_fee_minor: int = 0
    """The platform's fee, before any refund."""
    fee_returned_minor: int = 0
    """The part of that fee which went back to the instructor."""
    transferred_minor: int | None = None
    """What was transferred to the instructor's account, before any reversal; `None` for a destination charge, of which
    it is the captured amount."""
    reversed_minor: int = 0
    """The part of the transfer that was taken back from the instructor."""
    conversion: Conversion | None = None
    """How Stripe has converted a charge of the platform's; `None` if the platform settles in its currency."""
    settled_share_minor: int | None = None
    """Of a converted charge, what was transferred and not taken back, in the currency of the settlement. Converted back
    to that of the price, amounts may be off by a unit."""
    is_disputed: bool = False
    """The cardholder's bank has withdrawn a part of it, and the dispute is open."""
    lost_minor: int = 0
    """What lost disputes have returned to the cardholder."""
    stripe_fee: Money | None = None
    """Stripe's fee for a captured charge; `None` before the capture, and until Stripe has booked it."""
    decline_code: str | None = None
    """Why the last card was declined, while the student can still try another."""
    advice_code: str | None = None
    """Stripe's `advice_code` for that decline."""

    @property
    def was_held(self) -> bool:
        return self.phase in (HoldPhase.HELD, HoldPhase.CAPTURED, HoldPhase.GONE)

    @property
    def instructor_minor(self) -> int:
        """What the instructor has of it on their balance at Stripe, payouts aside."""
        if self.transferred_minor is not None:
            return self.transferred_minor - self.reversed_minor
        return self.captured_minor - self.reversed_minor - self.platform_fee_minor + self.fee_returned_minor

    @property
    def transferred_share_minor(self) -> int:
        """What the instructor has of it, in the currency of the transfer."""
        return self.instructor_minor if self.conversion is None else self.settled_share_minor or 0

    def missing_share(self, share: Money) -> Money:
        """What is still to be transferred of the share, in the currency of the transfer. Negative: to be taken back."""
        whole = share if self.conversion is None else self.conversion.of(share)
        return Money(amount_minor=whole.amount_minor - self.transferred_share_minor, currency=whole.currency)

    def with_transfers(self, transferred_minor: int, reversed_minor: int) -> Self:
        """With what was transferred and taken back, in the currency of the transfers."""
        if self.conversion is None:
            update = {"transferred_minor": transferred_minor, "reversed_minor": reversed_minor}
            return self.model_copy(update=update)
        left_minor = transferred_minor - reversed_minor
        transferred, left = self.conversion.back(transferred_minor), self.conversion.back(left_minor)
        return self.model_copy(
            update={
                "transferred_minor": transferred.amount_minor,
                "reversed_minor": (transferred - left).amount_minor,
                "settled_share_minor": left_minor,
            }
        )

    def with_share(self, share: Money) -> Self:
        """The instructor has the share: no more and no less is transferred."""
        whole = share if self.conversion is None else self.conversion.of(share)
        return self.model_copy(
            update={
                "transferred_minor": self.reversed_minor + share.amount_minor,
                "settled_share_minor": None if self.conversion is None else whole.amount_minor,
                "phase": HoldPhase.CAPTURED,
            }
        )

    @property
    def is_returned(self) -> bool:
        """Everything that was captured has been refunded."""
        return self.phase is HoldPhase.CAPTURED and self.refunded_minor >= self.captured_minor


class PaymentRef(Value):
    """How to find a booking's payment at Stripe. Ids that are not known yet are `None`."""

    booking_id: UUID
    plan: PaymentPlan
    student_id: UUID
    checkout_session_id: str | None = None
    payment_intent_id: str | None = None
    is_renewal: bool = False
    is_fraudulent: bool = False
    """It is returned because the card's bank has warned of fraud."""
    operator_round: int = 0
    """How often an operator has retried a failed step. Stripe sees each retry as a new step, with a new key."""


class SecurePayment(Value):
    terms: BookingTerms
    expires_at: datetime
    """When Stripe closes the Checkout page. Holdfast's own deadline is never later."""
    renewal: Renewal | None = None
    """`None` for the booking's first payment."""


class SettlePayment(Value):
    ref: PaymentRef
    split: Split
    stripe_account_id: str | None = None
    """The instructor's account, which must still be able to receive transfers."""
