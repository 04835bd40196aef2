"""Helpers of the tests of postings: amounts, terms, and the balances of accounts."""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from models.domain.ledger import Account, Posting
from models.domain.money import Money
from models.domain.policy import BookingPolicy, PaymentPlan
from models.domain.terms import BookingTerms

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def usd(amount_minor: int) -> Money:
    return Money(amount_minor=amount_minor, currency="usd")


def terms_of(price: Money, fee_bps: int = 2_000, plan: PaymentPlan = PaymentPlan.HOLD) -> BookingTerms:
    return BookingTerms(
        booking_id=uuid4(),
        student_id=uuid4(),
        instructor_id=uuid4(),
        offering_id=uuid4(),
        slot_id=uuid4(),
        starts_at=NOW,
        ends_at=NOW + timedelta(hours=1),
        price=price,
        policy=BookingPolicy(fee_bps=fee_bps),
        plan=plan,
        stripe_account_id="acct_1",
    )


def balances(all_postings: Iterable[Posting]) -> dict[Account, int]:
    """Debit balances are positive; accounts at zero are left out."""
    sums: Counter[Account] = Counter()
    for posting in all_postings:
        for entry in posting.entries:
            sums[entry.account] += entry.amount.amount_minor
    return {account: amount for account, amount in sums.items() if amount}
