"""The ledger: every cent between a student's card and an instructor's bank, in double entry.

| account | kind | what its balance says |
| --- | --- | --- |
| `card_holds` | asset | what students' cards are authorized for |
| `student_funds_held` | liability | the same and charges before the session, owed to students until it took place |
| `stripe_balance` | asset | the platform's balance at Stripe |
| `connected_balance` | asset | the instructors' balances at Stripe |
| `instructor_payable` | liability | what instructors have earned and not received |
| `platform_revenue` | income | the platform's fees, without the tax in them |
| `tax_payable` | liability | the tax in the platform's fees, owed to the tax office |
| `stripe_fees` | expense | what Stripe took |
| `refunds` | liability | what students are owed back and Stripe has not sent |
| `disputes` | asset | what banks have withdrawn while a dispute is open |
| `platform_losses` | expense | what the platform bears of refunds and disputes, beyond its fees |
| `exchange_differences` | clearing | what Stripe converted, in both currencies; once converted back, the difference |

Debits are positive, credits negative. A transaction sums to zero in each currency, here and in the database.
"""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Self
from uuid import UUID

from pydantic import model_validator

from models.domain.base import Value
from models.domain.money import Money


class Account(StrEnum):
    CARD_HOLDS = "card_holds"
    STUDENT_FUNDS_HELD = "student_funds_held"
    STRIPE_BALANCE = "stripe_balance"
    CONNECTED_BALANCE = "connected_balance"
    INSTRUCTOR_PAYABLE = "instructor_payable"
    PLATFORM_REVENUE = "platform_revenue"
    TAX_PAYABLE = "tax_payable"
    STRIPE_FEES = "stripe_fees"
    REFUNDS = "refunds"
    DISPUTES = "disputes"
    PLATFORM_LOSSES = "platform_losses"
    EXCHANGE_DIFFERENCES = "exchange_differences"


class PostingKind(StrEnum):
    """What happened. Stable: the ledger's API and the reports use the values."""

    HOLD_PLACED = "hold_placed"
    HOLD_ENDED = "hold_ended"
    CHARGED = "charged"
    CAPTURED = "captured"
    STRIPE_FEE = "stripe_fee"
    TRANSFERRED = "transferred"
    REFUNDED = "refunded"
    REFUND_SENT = "refund_sent"
    REFUND_FAILED = "refund_failed"
    TRANSFER_REVERSED = "transfer_reversed"
    PAID_OUT = "paid_out"
    PAYOUT_FAILED = "payout_failed"
    DISPUTE_OPENED = "dispute_opened"
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"
    ADJUSTED = "adjusted"
    EXCHANGED = "exchanged"


STORY: Mapping[PostingKind, str] = {
    PostingKind.HOLD_PLACED: "The student's card is authorized for the price.",
    PostingKind.HOLD_ENDED: "The hold on the card has ended.",
    PostingKind.CHARGED: "The student is charged. The platform holds the money until the session has taken place.",
    PostingKind.CAPTURED: "The payment is captured: a part is the instructor's, the fee the platform's.",
    PostingKind.STRIPE_FEE: "Stripe takes its fee.",
    PostingKind.TRANSFERRED: "The instructor's share moves to their balance at Stripe.",
    PostingKind.REFUNDED: "An amount is owed back to the student, by those who bear it.",
    PostingKind.REFUND_SENT: "Stripe sends it back to the student.",
    PostingKind.REFUND_FAILED: "The student's bank sends it back to the platform: it is still owed.",
    PostingKind.TRANSFER_REVERSED: "The instructor's part of it is taken from their balance at Stripe.",
    PostingKind.PAID_OUT: "Stripe pays the instructor's bank.",
    PostingKind.PAYOUT_FAILED: "The instructor's bank sends the payout back.",
    PostingKind.DISPUTE_OPENED: "The student's bank takes the money while a dispute is open.",
    PostingKind.DISPUTE_WON: "The dispute is won: the bank gives the money back.",
    PostingKind.DISPUTE_LOST: "The dispute is lost: the money is gone, at the cost of those who bear it.",
    PostingKind.ADJUSTED: "An operator corrects the ledger to what Stripe has.",
    PostingKind.EXCHANGED: "Stripe converts what is on a balance to the currency in which the account settles.",
}
"""What each kind means, as one line of a booking's ledger."""


class Entry(Value):
    """One line: a debit is positive, a credit negative."""

    account: Account
    amount: Money


class Posting(Value):
    """A ledger transaction that is not written yet. Raises `ValueError` if it does not balance."""

    kind: PostingKind
    subject: str
    """The id of a booking or a drift, or Stripe's of a refund, dispute or payout. Each kind is posted once for it."""
    booking_id: UUID | None
    instructor_id: UUID
    entries: tuple[Entry, ...]

    @model_validator(mode="after")
    def _balances(self) -> Self:
        sums: Counter[str] = Counter()
        for entry in self.entries:
            sums[entry.amount.currency] += entry.amount.amount_minor
        if not self.entries or any(sums.values()):
            raise ValueError(f"{self.kind} does not balance: {dict(sums)}")
        return self


def posting(
    kind: PostingKind, subject: str, booking_id: UUID | None, instructor_id: UUID, lines: dict[Account, Money]
) -> Posting:
    """The transaction with these lines, without those of zero."""
    entries = tuple(Entry(account=account, amount=amount) for account, amount in lines.items() if amount)
    return Posting(kind=kind, subject=subject, booking_id=booking_id, instructor_id=instructor_id, entries=entries)
