"""A month of the platform's books, as values: every account from its opening to its closing balance."""

from models.domain.ledger import PostingKind
from models.domain.money import Money
from models.domain.statements import Earnings, ReportModel


class AccountOfMonth(ReportModel):
    """Debits are positive, credits negative: an asset's balance is positive, a liability's and an income's negative."""

    account: str
    """A word of `models/domain/ledger.py`: `stripe_balance`, `instructor_payable`, …"""
    opening: Money
    debits: Money
    credits: Money
    """As a positive amount."""
    closing: Money
    """`opening` with `debits` and without `credits`: all that the ledger has in the account when the month ends."""


class KindOfMonth(ReportModel):
    kind: PostingKind
    transactions: int
    turnover: Money
    """What was moved: the sum of the debits."""


class MonthOfCurrency(ReportModel):
    currency: str
    earnings: Earnings
    """Of all instructors together."""
    stripe_fees: Money
    result: Money
    """What the platform earned: its fees, without Stripe's and without what it bore of refunds and disputes."""
    accounts: tuple[AccountOfMonth, ...]
    """All those in which there ever was something. Their closing balances sum to zero, and so do the opening ones."""
    kinds: tuple[KindOfMonth, ...]


class MonthlyReport(ReportModel):
    month: str
    """`2026-03`, in UTC."""
    data: tuple[MonthOfCurrency, ...]
