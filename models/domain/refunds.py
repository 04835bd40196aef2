"""Refunds after a booking's end: who bears them, when they are possible, what is said of them. Ids and amounts only.

Where the instructor bears a part, Stripe takes it in the proportion of the refund to the charge, and the books follow
what Stripe took. Where Stripe has no part in it (the platform bears the refund, a bank takes a disputed charge back),
the proportion is `shares`: of what is left, a part of a unit rounded up, so that never more of the fee is left than
Stripe gives back with the rest of the charge.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from models.domain.actors import Actor
from models.domain.base import Value
from models.domain.money import Money, Rounding, step_minor
from models.domain.policy import LossBearer
from models.domain.postings import Parties, Shares
from models.domain.states import PaymentStatus, RefundStatus

ORDERED = "ordered"
"""The update that an operator's order is started with; also its update id."""


class RefundRefusal(StrEnum):
    """The types of the errors that a caller of the updates gets."""

    NOT_FAILED = "refund_not_failed"


class RefundOrder(Value):
    refund_id: UUID
    stripe_refund_id: str | None = None
    """Of one that nobody ordered here, and that was made at Stripe."""


class RefundEvent(Value):
    """Stripe's news about a refund. Only a reason to look: what is true is asked of Stripe."""

    event_id: str
    type: str


class RetryRefund(Value):
    """An operator has a refund that the student's bank sent back tried again."""

    actor: Actor


class RefundView(Value):
    """How a refund stands."""

    status: RefundStatus
    refusal: str | None = None
    """Why there is none, as a sentence for the operator."""


class RefundSnapshot(Value):
    """A refund as it is written down."""

    refund_id: UUID
    parties: Parties
    status: RefundStatus
    refusal: str | None
    payment_intent_id: str
    amount: Money
    borne_by: LossBearer
    tries: int
    """How often Stripe has been asked to make it: each time is a new step, with a new key."""
    stripe_refund_id: str | None
    """None until Stripe has made it; one that is adopted has it from the beginning."""
    fee_returned_before_minor: int
    """Of the platform's fee, by the booking's earlier refunds."""


class RefundAtStripe(Value):
    """A refund as Stripe has it, read at one moment."""

    stripe_refund_id: str
    status: RefundStatus
    is_sent: bool
    """Stripe has taken the amount out of the platform's balance."""
    failure_reason: str | None = None
    reversed_minor: int = 0
    """Of the charge's transfer, by this refund."""
    fee_returned_minor: int = 0
    """Of the charge's application fee, by all of its refunds."""
    fee_share_minor: int | None = None
    """The most of that fee that this refund alone can have given back: in proportion, rounded up."""


class ExternalRefund(Value):
    """A refund that nobody ordered here: somebody has made it in Stripe's dashboard."""

    refund: RefundAtStripe
    payment_intent_id: str
    amount: Money

    @property
    def borne_by(self) -> LossBearer:
        """Without a reversal of the transfer, the platform alone has paid."""
        return LossBearer.BOTH if self.refund.reversed_minor else LossBearer.PLATFORM

    @property
    def moves_money(self) -> bool:
        """Not so one that was called off while it waited for the platform's balance."""
        return self.refund.is_sent or self.refund.status is RefundStatus.PENDING


class RefundAnswer(Value):
    """What came of asking Stripe for a refund: it, or Stripe's code for why not."""

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


def refusal(amount: Money, payment: PaymentStatus, left: Money, other_under_way: bool) -> str | None:
    """Why no `amount` can go back of a payment of which `left` is captured; `None` when it can."""
    if payment is PaymentStatus.DISPUTED:
        return "The charge is disputed: its bank decides about it, and Stripe refunds nothing meanwhile."
    if payment not in (PaymentStatus.CAPTURED, PaymentStatus.PARTIALLY_REFUNDED) or not left:
        return "There is nothing left to refund."
    if other_under_way:
        return "Another refund of this booking is being carried out; ask again in a moment."
    if amount > left:
        return f"At most {left.format()} can be refunded."
    if amount.amount_minor % step_minor(amount.currency):
        return f"An amount in {amount.currency} must be a multiple of {step_minor(amount.currency)} minor units."
    return None


def shares(amount: Money, captured: Money, platform_fee: Money, borne_by: LossBearer) -> Shares:
    """Who bears `amount`, of a payment of which `captured` is left and `platform_fee` of that is the platform's.

    The fee goes back in proportion; the rest is the instructor's, or the platform's loss. So is what goes beyond
    `captured`, which a bank may take. The three add up to `amount`.
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
    """Who bears a refund, as Stripe has carried it out: what it took of the transfer, less the fee it gave back.

    The fee that Stripe gives back may be more than the books have left of it, by what the platform has given up since.
    """
    if case.borne_by is LossBearer.PLATFORM:
        return shares(case.amount, captured, platform_fee, case.borne_by)
    reversed_minor = min(refund.reversed_minor, case.amount.amount_minor)
    returned = refund.fee_returned_minor - case.fee_returned_before_minor
    # Of refunds under way at once, each takes no more of what the fee has given back than can be its own.
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
