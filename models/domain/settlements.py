"""What an ending makes of a captured payment: what is still to be put right at Stripe, and what is posted of it.

A payment may have been captured or refunded in Stripe's dashboard before its booking ended, with another amount or fee
than the ending keeps. What the ending keeps is made true at Stripe first, then recorded as Stripe has it.
"""

from models.domain import postings
from models.domain.base import Value
from models.domain.errors import Declined
from models.domain.ledger import Posting
from models.domain.money import Money
from models.domain.payments import HoldPhase, PaymentState
from models.domain.policy import PaymentPlan, Split
from models.domain.postings import Shares
from models.domain.terms import BookingTerms


class RefundDifference(Value):
    """Return what was captured beyond what is kept, and take it back from the instructor."""

    amount: Money


class ReturnFee(Value):
    """Return a part of the application fee to the instructor."""

    amount: Money


class ReverseShare(Value):
    """Take a part of the transfer back from the instructor."""

    amount: Money
    """In the currency of the transfer."""


class TransferShare(Value):
    """Transfer a part of the charge to the instructor."""

    amount: Money
    """In the currency in which the charge was settled."""


Correction = RefundDifference | ReturnFee | ReverseShare
Step = RefundDifference | TransferShare | ReverseShare


def next_step(payment: PaymentState, split: Split) -> Step | None:
    """The next step that settles a charge of the platform's; `None` once `split` is what Stripe has.

    What was refunded or transferred already, by an earlier attempt or in Stripe's dashboard, counts.
    """
    surplus = payment.captured_minor - split.kept.amount_minor
    if surplus < 0:
        raise Declined("less_is_captured_than_the_ending_keeps")
    if payment.refunded_minor < surplus:
        back = Money(amount_minor=surplus - payment.refunded_minor, currency=split.kept.currency)
        return RefundDifference(amount=back)
    missing = payment.missing_share(split.instructor_payout)
    if missing.amount_minor > 0:
        return TransferShare(amount=missing)
    return ReverseShare(amount=-missing) if missing else None


def next_correction(payment: PaymentState, split: Split) -> Correction | None:
    """The next step that brings a captured payment closer to `split`; `None` once it is what Stripe has.

    Raises `Declined` if no step can: an operator decides how the booking ends instead.
    """

    def money(amount_minor: int) -> Money:
        return Money(amount_minor=amount_minor, currency=split.kept.currency)

    surplus = payment.captured_minor - split.kept.amount_minor
    if surplus < 0:
        raise Declined("less_is_captured_than_the_ending_keeps")
    if payment.refunded_minor > surplus:
        if surplus or payment.platform_fee_minor != split.platform_fee.amount_minor:
            raise Declined("more_is_refunded_than_the_ending_returns")
        return None
    if payment.refunded_minor < surplus:
        return RefundDifference(amount=money(surplus - payment.refunded_minor))
    missing = split.instructor_payout.amount_minor - payment.instructor_minor
    if missing < 0:
        return ReverseShare(amount=money(-missing))
    if missing > payment.platform_fee_minor - payment.fee_returned_minor:
        raise Declined("more_is_reversed_than_the_fee_can_return")
    return ReturnFee(amount=money(missing)) if missing else None


def part_of_ending(payment: PaymentState, split: Split) -> PaymentState:
    """The payment without refunds that return more than the ending does. They are adopted once it is recorded."""
    if payment.refunded_minor <= payment.captured_minor - split.kept.amount_minor:
        return payment
    beyond: dict[str, object] = {"refunded_minor": 0, "refund_ids": ()}
    if payment.transferred_minor is None:
        beyond |= {"fee_returned_minor": 0, "reversed_minor": 0}
    return payment.model_copy(update=beyond)


class Settlement(Value):
    """A captured payment at its booking's end: how it was split, and who bore what went back to the student.

    What goes back of a charge of the platform's was never split, so nobody bears it.
    """

    charged: Split
    returned: Shares

    @classmethod
    def of(cls, payment: PaymentState, currency: str) -> "Settlement | None":
        """`None` if nothing was captured."""
        if payment.phase is not HoldPhase.CAPTURED:
            return None

        def money(amount_minor: int) -> Money:
            return Money(amount_minor=amount_minor, currency=currency)

        if payment.transferred_minor is not None:
            kept, share = money(payment.captured_minor - payment.refunded_minor), money(payment.instructor_minor)
            return cls(
                charged=Split(kept=kept, platform_fee=kept - share, instructor_payout=share),
                returned=Shares(instructor=kept.zero(), platform_fee=kept.zero(), platform_loss=kept.zero()),
            )
        captured, fee = money(payment.captured_minor), money(payment.platform_fee_minor)
        taken_back = money(payment.reversed_minor - payment.fee_returned_minor)
        if not payment.refunded_minor:
            # A share or fee that went back alone only changes how the captured amount is split.
            fee, taken_back = fee + taken_back, taken_back.zero()
        by_platform = money(payment.refunded_minor) - taken_back
        fee_part = min(by_platform, fee)
        return cls(
            charged=Split(kept=captured, platform_fee=fee, instructor_payout=captured - fee),
            returned=Shares(instructor=taken_back, platform_fee=fee_part, platform_loss=by_platform - fee_part),
        )

    @property
    def kept(self) -> Money:
        return self.charged.kept - self.returned.total

    @property
    def platform_fee(self) -> Money:
        return self.charged.platform_fee - self.returned.platform_fee

    @property
    def instructor(self) -> Money:
        return self.charged.instructor_payout - self.returned.instructor


def settlement_postings(terms: BookingTerms, payment: PaymentState) -> tuple[Posting, ...]:
    """The end of a hold: released, captured, or captured and refunded. Or that of a charge: refunded, transferred."""
    parties, ended = postings.parties_of(terms), postings.hold_ended(terms)
    settlement = Settlement.of(payment, terms.price.currency)
    if terms.plan is PaymentPlan.CHARGE_THEN_TRANSFER:
        back = postings.returned(parties, Money(amount_minor=payment.refunded_minor, currency=terms.price.currency))
        return (*postings.settled(parties, settlement.charged), *back) if settlement else back
    if settlement is None:
        return (ended,)
    captured = (ended, *postings.capture(parties, settlement.charged, payment.stripe_fee))
    if not settlement.returned.total:
        return captured
    subject = str(terms.booking_id)
    return (
        *captured,
        *postings.refund(parties, subject, settlement.returned),
        postings.refund_sent(parties, subject, settlement.returned.total),
    )
