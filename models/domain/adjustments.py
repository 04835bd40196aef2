"""An adjustment: an operator has the ledger corrected to what Stripe has, after a booking's end. Ids and amounts only.

What is posted follows from what differs:

| differs | is posted to |
| --- | --- |
| the instructor's balance (`transfers`) | what the instructor has earned |
| the platform's balance, by what the instructor's differs the other way | the platform's fee, then its losses |
| the platform's balance, by the rest, if money has left | what the student is owed, then a loss |
| the platform's balance, by the rest, if money came back | what the student is owed |
| the hold (`card_holds`) | the student's funds held |
"""

from datetime import datetime
from uuid import UUID

from models.domain.actors import Actor
from models.domain.base import Value
from models.domain.ledger import Account, Entry, Posting, PostingKind, posting
from models.domain.money import Money
from models.domain.postings import Parties, Shares
from models.domain.reconciliation import Book, Difference


class AdjustmentOrder(Value):
    booking_id: UUID
    drift_id: UUID
    """The drift that the operator settles."""
    actor: Actor
    is_preview: bool = False
    """Only say what would be posted."""


class RecordAdjustment(Value):
    order: AdjustmentOrder
    differences: tuple[Difference, ...]
    """What differs now, as just read from the ledger and from Stripe."""
    at: datetime


class AdjustmentView(Value):
    lines: tuple[Entry, ...] = ()
    drift_ids: tuple[UUID, ...] = ()
    """The drifts that it settles: all open ones of the booking."""
    refusal: str | None = None
    """Why nothing is adjusted, as a sentence for the operator."""


class Adjustment(Value):
    posting: Posting
    borne: Shares
    """Its effect on the payment: a total of zero if only the instructor's and the platform's shares change."""


def adjustment(
    parties: Parties, subject: str, differences: tuple[Difference, ...], platform_fee: Money, owed: Money
) -> Adjustment:
    """`platform_fee` is what the payment has left of it, and `owed` what its student is owed back.

    Raises `ValueError` if nothing differs.
    """
    zero = platform_fee.zero()
    missing = {each.book: each.stripe - each.ledger for each in differences}
    platform, instructor = missing.get(Book.STRIPE_BALANCE, zero), missing.get(Book.TRANSFERS, zero)
    held = missing.get(Book.CARD_HOLDS, zero)
    outside = platform + instructor
    left, came_back = max(-outside, zero), max(outside, zero)
    paid = min(left, max(owed, zero))
    fee = min(instructor, platform_fee)
    borne = Shares(instructor=-instructor, platform_fee=fee, platform_loss=instructor - fee + left - paid)
    lines = {
        Account.STRIPE_BALANCE: platform,
        Account.CONNECTED_BALANCE: instructor,
        Account.INSTRUCTOR_PAYABLE: borne.instructor,
        Account.PLATFORM_REVENUE: borne.platform_fee,
        Account.PLATFORM_LOSSES: borne.platform_loss,
        Account.REFUNDS: paid - came_back,
        Account.CARD_HOLDS: held,
        Account.STUDENT_FUNDS_HELD: -held,
    }
    adjusted = posting(PostingKind.ADJUSTED, subject, parties.booking_id, parties.instructor_id, lines)
    return Adjustment(posting=adjusted, borne=borne)
