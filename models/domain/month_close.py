"""A month of the platform's ledger, as values: every account from its opening to its closing balance."""

from models.domain.ledger import PostingKind
from models.domain.money import Money
from models.domain.statements import Earnings, ReportModel


class AccountMonth(ReportModel):
    """Debits are positive, credits negative: asset balances are positive, liability and income balances negative."""

    account: str
    """One of the accounts of `models/domain/ledger.py`: `stripe_balance`, `instructor_payable`, …"""
    opening: Money
    """The balance at the start of the month."""
    debits: Money
    """The sum of the month's debits."""
    credits: Money
    """As a positive amount."""
    closing: Money
    """`opening` plus `debits` less `credits`: the account's ledger balance at the end of the month."""


class PostingTotals(ReportModel):
    kind: PostingKind
    """What kind it is."""
    transactions: int
    """How many there were."""
    turnover: Money
    """The amount moved: the sum of the debits."""


class CurrencyMonth(ReportModel):
    currency: str
    """Three lower-case letters, as in ISO 4217."""
    earnings: Earnings
    """Of all instructors together."""
    stripe_fees: Money
    """What Stripe charged."""
    result: Money
    """What the platform earned: its fees without tax, less Stripe's fees and what it bore of refunds and disputes."""
    accounts: tuple[AccountMonth, ...]
    """All accounts with any entry so far. Their closing balances sum to zero, and so do their opening balances."""
    kinds: tuple[PostingTotals, ...]
    """Turnover by kind of transaction."""


class MonthlyReport(ReportModel):
    month: str
    """`2026-03`, in UTC."""
    data: tuple[CurrencyMonth, ...]
    """One item per currency."""
