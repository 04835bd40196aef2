"""A month of the platform's ledger, as values: every account from its opening to its closing balance."""

from models.domain.ledger import PostingKind
from models.domain.money import Money
from models.domain.statements import Earnings, ReportModel


class AccountMonth(ReportModel):
    """Debits are positive, credits negative: asset balances are positive, liability and income balances negative."""

    account: str
    """One of the accounts of `models/domain/ledger.py`: `stripe_balance`, `instructor_payable`, …"""
    opening: Money
    debits: Money
    credits: Money
    """As a positive amount."""
    closing: Money
    """`opening` plus `debits` less `credits`: the account's ledger balance at the end of the month."""


class KindTotals(ReportModel):
    kind: PostingKind
    transactions: int
    turnover: Money
    """The amount moved: the sum of the debits."""


class CurrencyMonth(ReportModel):
    currency: str
    earnings: Earnings
    """Of all instructors together."""
    stripe_fees: Money
    result: Money
    """What the platform earned: its fees without tax, less Stripe's fees and what it bore of refunds and disputes."""
    accounts: tuple[AccountMonth, ...]
    """All accounts with any entry so far. Their closing balances sum to zero, and so do their opening balances."""
    kinds: tuple[KindTotals, ...]


class MonthlyReport(ReportModel):
    month: str
    """`2026-03`, in UTC."""
    data: tuple[CurrencyMonth, ...]
