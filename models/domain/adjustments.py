"""An adjustment: an operator has the ledger corrected to what Stripe has. Ids and amounts only.

What is posted follows from what differs. Of a booking that has ended:

| differs | is posted to |
| --- | --- |
| the instructor's balance (`transfers`) | what the instructor has earned |
| the platform's balance, by what the instructor's differs the other way | the platform's fee, then its losses |
| the platform's balance, by the rest, if money has left | what the student is owed, then a loss |
| the platform's balance, by the rest, if money came back | what the student is owed |
| the platform's balance in another currency than the booking's | Stripe's fees: nothing else is taken in another one |
| the hold (`card_holds`) | the student's funds held |

Of an instructor's balance that no booking explains:

| differs | is posted to |
| --- | --- |
| the instructor's balance | what the instructor has earned |
| the platform's balance, by transfers without a charge and their reversals | the platform's losses |
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from uuid import UUID

from models.domain.actors import Actor
from models.domain.base import Value
from models.domain.ledger import Account, Entry, Posting, PostingKind
from models.domain.money import Money
from models.domain.postings import Parties, Shares
from models.domain.reconciliation import Book, Difference


class AdjustmentOrder(Value):
    """About a booking or an instructor's balance: one of the two ids is set."""

    booking_id: UUID | None = None
    instructor_id: UUID | None = None
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
    """The drifts that it settles: all open ones of the booking, or of the instructor's balance."""
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
    missing = {each.book: each.stripe - each.ledger for each in differences if each.ledger.currency == zero.currency}
    in_others = [each for each in differences if each.ledger.currency != zero.currency]
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
    entries = [*lines.items(), *_moved(in_others, Account.STRIPE_FEES)]
    return Adjustment(posting=_adjusted(subject, parties.booking_id, parties.instructor_id, entries), borne=borne)


def balance_adjustment(instructor_id: UUID, subject: str, differences: tuple[Difference, ...]) -> Posting:
    """Raises `ValueError` if nothing differs."""
    earned = [each for each in differences if each.book is Book.CONNECTED_BALANCE]
    paid = [each for each in differences if each.book is Book.STRIPE_BALANCE]
    entries = [*_moved(earned, Account.INSTRUCTOR_PAYABLE), *_moved(paid, Account.PLATFORM_LOSSES)]
    return _adjusted(subject, None, instructor_id, entries)


def _moved(differences: Iterable[Difference], against: Account) -> Iterator[tuple[Account, Money]]:
    for each in differences:
        missing = each.stripe - each.ledger
        balance = Account.STRIPE_BALANCE if each.book is Book.STRIPE_BALANCE else Account.CONNECTED_BALANCE
        yield from ((balance, missing), (against, -missing))


def _adjusted(
    subject: str, booking_id: UUID | None, instructor_id: UUID, lines: Iterable[tuple[Account, Money]]
) -> Posting:
    return Posting(
        kind=PostingKind.ADJUSTED,
        subject=subject,
        booking_id=booking_id,
        instructor_id=instructor_id,
        entries=tuple(Entry(account=account, amount=amount) for account, amount in lines if amount),
    )
