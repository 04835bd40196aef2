"""Refunds after a booking's end: who bears them, when they are possible, their messages. Ids and amounts only.

If the instructor bears a part, Stripe takes it in proportion of the refund to the charge, and the ledger follows what
Stripe took. If Stripe does not split the amount (the platform bears the refund, or a bank takes a disputed charge
back), `shares` does: in proportion to what is left, with the fee's part rounded up. So the fee that is left never
exceeds what Stripe returns with the rest of the charge.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from models.domain.actors import Actor
from models.domain.base import Value
from models.domain.money import Money, Rounding, not_accepted
from models.domain.policy import LossBearer, PaymentPlan
from models.domain.postings import Parties, Shares
from models.domain.states import PaymentStatus, RefundStatus

ORDERED = "ordered"
"""The update that starts a refund ordered by an operator. Also its update id."""


WAITS_FOR_BALANCE = "insufficient_funds"
"""The `pending_reason` of a refund that Stripe sends once the platform's balance covers it."""
NOT_OWED = "The student is owed nothing of it any more: a dispute or another refund has returned it."


class RefundRefusal(StrEnum):
    """The error types that a caller of the updates receives."""

    NOT_FAILED = "refund_not_failed"


class RefundOrder(Value):
    refund_id: UUID
    stripe_refund_id: str | None = None
    """Only for a refund that was made at Stripe and not ordered here."""
    fraud_warning_id: str | None = None
    """Only for a warning of the card's bank, which may lead to a refund."""


class RefundEvent(Value):
    """A Stripe event about a refund. Only a reason to look: the current state is read from Stripe."""

    event_id: str
    type: str


class RetryRefund(Value):
    """An operator retries a refund that the student's bank returned."""

    actor: Actor


class RefundView(Value):
    """The status of a refund."""

    status: RefundStatus
    refusal: str | None = None
    """Why there is no refund, as a sentence for the operator."""


class RefundSnapshot(Value):
    """A refund as recorded in Postgres."""

    refund_id: UUID
    parties: Parties
    status: RefundStatus
    refusal: str | None
    payment_intent_id: str
    amount: Money
    borne_by: LossBearer
    tries: int
    """How often the refund has been requested from Stripe. Each attempt is a new step, with a new key."""
    stripe_refund_id: str | None
    """`None` until Stripe has made the refund. An external refund has it from the start."""
    fee_returned_before_minor: int
    """What the booking's earlier refunds returned of the platform's fee."""
    plan: PaymentPlan = PaymentPlan.HOLD
    share_minor: int = 0
    """What the instructor bears of it, where the share was transferred separately and is reversed separately."""
    share_left_minor: int | None = None
    """What the instructor keeps then. `None` in histories from before transfers of converted charges."""
    pending_reason: str | None = None
    is_fraudulent: bool = False
    """The card's bank has warned of fraud. Stripe then blocks the card and the email address."""
    is_retrying: bool = False
    """An operator has ordered another try, which Stripe has not answered."""

    @property
    def share(self) -> Money:
        return Money(amount_minor=self.share_minor, currency=self.amount.currency)

    @property
    def share_left(self) -> Money | None:
        if self.share_left_minor is None:
            return None
        return Money(amount_minor=self.share_left_minor, currency=self.amount.currency)


class RefundAtStripe(Value):
    """A refund as read from Stripe at one moment."""

    stripe_refund_id: str
    status: RefundStatus
    is_sent: bool
    """Stripe has debited the amount from the platform's balance."""
    failure_reason: str | None = None
    pending_reason: str | None = None
    """Stripe's code for what a pending refund waits for."""
    reversed_minor: int = 0
    """What this refund reversed of the charge's transfer."""
    fee_returned_minor: int = 0
    """What all refunds of the charge returned of its application fee."""
    fee_share_minor: int | None = None
    """The most that this refund alone can have returned of that fee: in proportion, rounded up."""


class ExternalRefund(Value):
    """A refund that was made in Stripe's dashboard and not ordered here."""

    refund: RefundAtStripe
    payment_intent_id: str
    amount: Money
    labelled: UUID | None = None
    """The refund id in its metadata, where anyone can write one."""

    @property
    def borne_by(self) -> LossBearer:
        """Without a transfer reversal, the platform alone has paid."""
        return LossBearer.BOTH if self.refund.reversed_minor else LossBearer.PLATFORM

    @property
    def moves_money(self) -> bool:
        """False for a refund that was canceled while it waited for the platform's balance."""
        return self.refund.is_sent or self.refund.status is RefundStatus.PENDING


class RefundResult(Value):
    """Stripe's answer to a refund request: the refund, or the error code of the refusal."""

    refund: RefundAtStripe | None = None
    refused: str | None = None


class RecordRefundOrder(Value):
    refund_id: UUID
    at: datetime


class AdoptRefund(Value):
    refund_id: UUID
    stripe_refund_id: str
    at: datetime


class RecordRefund(Value):
    case: RefundSnapshot
    refund: RefundAtStripe
    at: datetime


class RecordRefusedRefund(Value):
    case: RefundSnapshot
    refused: str
    at: datetime


class RecordRefundRetry(Value):
    case: RefundSnapshot
    actor: Actor
    at: datetime
    order_id: str | None = None
    """The update's id: an order that is played again after a reset is not another one."""


def refusal(amount: Money, payment: PaymentStatus, left: Money, other_under_way: bool) -> str | None:
    """Why `amount` cannot be refunded of a payment of which `left` is still captured; `None` if it can."""
    if payment is PaymentStatus.DISPUTED:
        return "The charge is disputed: its bank decides about it, and Stripe refunds nothing meanwhile."
    if payment not in (PaymentStatus.CAPTURED, PaymentStatus.PARTIALLY_REFUNDED) or not left:
        return "There is nothing left to refund."
    if other_under_way:
        return "Another refund of this booking is being carried out; ask again in a moment."
    if amount > left:
        return f"At most {left.format()} can be refunded."
    if reason := not_accepted(amount):
        return f"{reason[0].upper()}{reason[1:]}."
    return None


def shares(amount: Money, captured: Money, platform_fee: Money, borne_by: LossBearer) -> Shares:
    """Who bears `amount`, of a payment of which `captured` is left, including `platform_fee`.

    The fee is returned in proportion; the instructor bears the rest, or it is the platform's loss. A bank may take more
    than `captured`; that excess is always the platform's loss. The three parts sum to `amount`.
    """
    within = min(amount, captured)
    fee = within.zero()
    if within:
        kept = platform_fee.amount_minor * (captured - within).amount_minor
        part = platform_fee.amount_minor - Rounding.DOWN.divide(kept, captured.amount_minor)
        fee = Money(amount_minor=min(part, within.amount_minor), currency=amount.currency)
    rest, beyond = within - fee, amount - within
    if borne_by is LossBearer.PLATFORM:
        return Shares(instructor=amount.zero(), platform_fee=fee, platform_loss=rest + beyond)
    return Shares(instructor=rest, platform_fee=fee, platform_loss=beyond)


def shares_at_stripe(case: RefundSnapshot, refund: RefundAtStripe, captured: Money, platform_fee: Money) -> Shares:
    """Who bears a refund, as carried out by Stripe: the instructor bears the reversed transfer, less the returned fee.

    Stripe may return more of the fee than the ledger has left, by the amount that the platform has given up since.
    """
    if case.borne_by is LossBearer.PLATFORM:
        return shares(case.amount, captured, platform_fee, case.borne_by)
    if case.plan is PaymentPlan.CHARGE_THEN_TRANSFER:
        return _shares_of_transfer(case.amount, refund.reversed_minor, platform_fee)
    reversed_minor = min(refund.reversed_minor, case.amount.amount_minor)
    returned = refund.fee_returned_minor - case.fee_returned_before_minor
    # With several refunds in flight, none counts more of the returned fee than it can have caused.
    most = reversed_minor if refund.fee_share_minor is None else min(refund.fee_share_minor, reversed_minor)
    returned = max(0, min(returned, most))
    fee = min(returned, platform_fee.amount_minor)

    def money(amount_minor: int) -> Money:
        return Money(amount_minor=amount_minor, currency=case.amount.currency)

    return Shares(
        instructor=money(reversed_minor - returned),
        platform_fee=money(fee),
        platform_loss=money(case.amount.amount_minor - reversed_minor + returned - fee),
    )


def _shares_of_transfer(amount: Money, reversed_minor: int, platform_fee: Money) -> Shares:
    """The instructor bears what was reversed; the platform the rest, of its fee as far as that goes."""
    instructor = Money(amount_minor=min(reversed_minor, amount.amount_minor), currency=amount.currency)
    rest = amount - instructor
    fee = min(rest, platform_fee)
    return Shares(instructor=instructor, platform_fee=fee, platform_loss=rest - fee)
