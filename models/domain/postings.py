"""The ledger postings of each movement of money. Amounts come from Stripe, splits from the frozen policy."""

from uuid import UUID

from models.domain.base import Value
from models.domain.ledger import Account, Entry, Posting, PostingKind, posting
from models.domain.money import Money
from models.domain.policy import Split
from models.domain.terms import BookingTerms


class Parties(Value):
    """The booking and the instructor whose money moves."""

    booking_id: UUID
    instructor_id: UUID


class Shares(Value):
    """How a returned amount is shared between those who bear it. The three parts sum to `total`."""

    instructor: Money
    platform_fee: Money
    platform_loss: Money

    @property
    def total(self) -> Money:
        return self.instructor + self.platform_fee + self.platform_loss


def parties_of(terms: BookingTerms) -> Parties:
    return Parties(booking_id=terms.booking_id, instructor_id=terms.instructor_id)


def hold_placed(terms: BookingTerms) -> Posting:
    return _posting_for_booking(
        PostingKind.HOLD_PLACED,
        parties_of(terms),
        {Account.CARD_HOLDS: terms.price, Account.STUDENT_FUNDS_HELD: -terms.price},
    )


def hold_ended(terms: BookingTerms) -> Posting:
    return _posting_for_booking(
        PostingKind.HOLD_ENDED,
        parties_of(terms),
        {Account.STUDENT_FUNDS_HELD: terms.price, Account.CARD_HOLDS: -terms.price},
    )


def charged(terms: BookingTerms, amount: Money, fee: Money | None) -> tuple[Posting, ...]:
    """A charge of the platform's, held for the student. `fee` is Stripe's; `None` until Stripe has booked it."""
    parties = parties_of(terms)
    held = {Account.STRIPE_BALANCE: amount, Account.STUDENT_FUNDS_HELD: -amount}
    postings = [_posting_for_booking(PostingKind.CHARGED, parties, held)]
    if fee:
        postings.append(stripe_fee(parties, str(parties.booking_id), fee))
    return tuple(postings)


def settled(parties: Parties, kept: Split) -> tuple[Posting, ...]:
    """Of what is held for the student, a part is the instructor's, and transferred, and a part the platform's.

    Nothing, if the share was transferred and everything came back.
    """
    if not kept.kept and not kept.instructor_payout:
        return ()
    lines = {
        Account.STUDENT_FUNDS_HELD: kept.kept,
        Account.INSTRUCTOR_PAYABLE: -kept.instructor_payout,
        Account.PLATFORM_REVENUE: -kept.platform_fee,
    }
    captured = _posting_for_booking(PostingKind.CAPTURED, parties, lines)
    return (captured, *_transferred(parties, kept.instructor_payout))


def returned(parties: Parties, amount: Money) -> tuple[Posting, ...]:
    """Of what is held for the student, a part goes back to them."""
    if not amount:
        return ()
    subject = str(parties.booking_id)
    owed = {Account.STUDENT_FUNDS_HELD: amount, Account.REFUNDS: -amount}
    return (_posting_for(PostingKind.REFUNDED, subject, parties, owed), refund_sent(parties, subject, amount))


def dispute_lost_while_held(parties: Parties, dispute_id: str, amount: Money) -> Posting:
    """The bank has returned to the cardholder what was held for them."""
    lines = {Account.STUDENT_FUNDS_HELD: amount, Account.DISPUTES: -amount}
    return _posting_for(PostingKind.DISPUTE_LOST, dispute_id, parties, lines)


def capture(parties: Parties, kept: Split, fee: Money | None) -> tuple[Posting, ...]:
    """A destination charge: the student's money arrives, Stripe takes its fee, the share is transferred on.

    `fee` is Stripe's; `None` until Stripe has booked the charge.
    """
    share = kept.instructor_payout
    lines = {
        Account.STRIPE_BALANCE: kept.kept,
        Account.INSTRUCTOR_PAYABLE: -share,
        Account.PLATFORM_REVENUE: -kept.platform_fee,
    }
    postings = [_posting_for_booking(PostingKind.CAPTURED, parties, lines)]
    if fee:
        postings.append(stripe_fee(parties, str(parties.booking_id), fee))
    return (*postings, *_transferred(parties, share))


def stripe_fee(parties: Parties, subject: str, fee: Money) -> Posting:
    """`subject` is what Stripe charged for: the booking itself, or a dispute."""
    return _posting_for(
        PostingKind.STRIPE_FEE, subject, parties, {Account.STRIPE_FEES: fee, Account.STRIPE_BALANCE: -fee}
    )


def refund(parties: Parties, refund_id: str, borne: Shares) -> tuple[Posting, ...]:
    """From now on owed to the student. The instructor's part is reversed from their balance at Stripe."""
    owed = {**_bearers(borne), Account.REFUNDS: -borne.total}
    return (
        _posting_for(PostingKind.REFUNDED, refund_id, parties, owed),
        *_transfer_reversed(parties, refund_id, borne.instructor),
    )


def refund_sent(parties: Parties, refund_id: str, amount: Money) -> Posting:
    return _posting_for(
        PostingKind.REFUND_SENT, refund_id, parties, {Account.REFUNDS: amount, Account.STRIPE_BALANCE: -amount}
    )


def refund_failed(parties: Parties, refund_id: str, amount: Money) -> Posting:
    """Stripe returns the money to the platform; the student is still owed it."""
    return _posting_for(
        PostingKind.REFUND_FAILED, refund_id, parties, {Account.STRIPE_BALANCE: amount, Account.REFUNDS: -amount}
    )


def dispute_opened(parties: Parties, dispute_id: str, amount: Money) -> Posting:
    return _posting_for(
        PostingKind.DISPUTE_OPENED, dispute_id, parties, {Account.DISPUTES: amount, Account.STRIPE_BALANCE: -amount}
    )


def dispute_won(
    parties: Parties, dispute_id: str, amount: Money, fee_returned: Money | None = None
) -> tuple[Posting, ...]:
    """In some countries Stripe returns its fee as well (Stripe, "Dispute fees")."""
    returned = {Account.STRIPE_BALANCE: amount, Account.DISPUTES: -amount}
    postings = [_posting_for(PostingKind.DISPUTE_WON, dispute_id, parties, returned)]
    if fee_returned:
        postings.append(stripe_fee(parties, f"{dispute_id}/returned", -fee_returned))
    return tuple(postings)


def dispute_lost(parties: Parties, dispute_id: str, borne: Shares, owed: Money | None = None) -> tuple[Posting, ...]:
    """`owed` was owed to the student already. The dispute has paid it, so nobody bears it a second time."""
    owed = owed or borne.total.zero()
    lost = {**_bearers(borne), Account.REFUNDS: owed, Account.DISPUTES: -(borne.total + owed)}
    return (
        _posting_for(PostingKind.DISPUTE_LOST, dispute_id, parties, lost),
        *_transfer_reversed(parties, dispute_id, borne.instructor),
    )


def paid_out(instructor_id: UUID, booking_id: UUID | None, payout_id: str, amount: Money) -> Posting:
    """A booking's part of a payout; without a booking, the part that belongs to none. Negative for a clawback."""
    return posting(
        PostingKind.PAID_OUT,
        f"{payout_id}/{booking_id or ''}",
        booking_id,
        instructor_id,
        {Account.INSTRUCTOR_PAYABLE: amount, Account.CONNECTED_BALANCE: -amount},
    )


def payout_failed(instructor_id: UUID, booking_id: UUID | None, payout_id: str, amount: Money) -> Posting:
    """The bank returned the payout: the money is in the instructor's balance at Stripe again."""
    return posting(
        PostingKind.PAYOUT_FAILED,
        f"{payout_id}/{booking_id or ''}",
        booking_id,
        instructor_id,
        {Account.CONNECTED_BALANCE: amount, Account.INSTRUCTOR_PAYABLE: -amount},
    )


def converted_on_platform(parties: Parties, times: int, given: Money, taken: Money) -> Posting:
    """Stripe converts `given` on the platform's balance to `taken`. `times` is how often it has done so before."""
    lines = _converted(Account.STRIPE_BALANCE, Account.EXCHANGE_DIFFERENCES, given, taken)
    return _exchanged(f"{parties.booking_id}/platform/{times}", parties, lines)


def converted_on_account(parties: Parties, times: int, given: Money, taken: Money) -> Posting:
    """The same on the instructor's balance: what they have earned and not received is converted."""
    lines = _converted(Account.CONNECTED_BALANCE, Account.INSTRUCTOR_PAYABLE, given, taken)
    return _exchanged(f"{parties.booking_id}/connected/{times}", parties, lines)


def _converted(balance: Account, against: Account, given: Money, taken: Money) -> tuple[tuple[Account, Money], ...]:
    return (balance, -given), (against, given), (balance, taken), (against, -taken)


def _exchanged(subject: str, parties: Parties, lines: tuple[tuple[Account, Money], ...]) -> Posting:
    return Posting(
        kind=PostingKind.EXCHANGED,
        subject=subject,
        booking_id=parties.booking_id,
        instructor_id=parties.instructor_id,
        entries=tuple(Entry(account=account, amount=amount) for account, amount in lines if amount),
    )


def _transferred(parties: Parties, share: Money) -> tuple[Posting, ...]:
    if not share:
        return ()
    transfer = {Account.CONNECTED_BALANCE: share, Account.STRIPE_BALANCE: -share}
    return (_posting_for_booking(PostingKind.TRANSFERRED, parties, transfer),)


def _bearers(borne: Shares) -> dict[Account, Money]:
    return {
        Account.INSTRUCTOR_PAYABLE: borne.instructor,
        Account.PLATFORM_REVENUE: borne.platform_fee,
        Account.PLATFORM_LOSSES: borne.platform_loss,
    }


def _transfer_reversed(parties: Parties, subject: str, share: Money) -> tuple[Posting, ...]:
    if not share:
        return ()
    lines = {Account.STRIPE_BALANCE: share, Account.CONNECTED_BALANCE: -share}
    return (_posting_for(PostingKind.TRANSFER_REVERSED, subject, parties, lines),)


def _posting_for_booking(kind: PostingKind, parties: Parties, lines: dict[Account, Money]) -> Posting:
    return _posting_for(kind, str(parties.booking_id), parties, lines)


def _posting_for(kind: PostingKind, subject: str, parties: Parties, lines: dict[Account, Money]) -> Posting:
    return posting(kind, subject, parties.booking_id, parties.instructor_id, lines)
