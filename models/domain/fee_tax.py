"""The tax in the platform's fees, such as VAT or sales tax.

A fee includes its tax, so that nobody pays more because of it. A booking's tax follows from the fee that the platform
has left of it. So a fee that is returned in parts returns its tax to the last unit.
"""

from models.domain.ledger import Account, Posting, posting
from models.domain.money import BASIS_POINTS, Money, step_minor
from models.domain.policy import BookingPolicy


def fee_tax(fee: Money, policy: BookingPolicy) -> Money:
    """The tax that `fee` includes: 19.00 of 119.00 at 19 %. None if more was returned than the platform had taken."""
    if fee.amount_minor <= 0:
        return fee.zero()
    bps, step = policy.fee_tax_bps, step_minor(fee.currency)
    tax = policy.rounding.divide(fee.amount_minor * bps, (BASIS_POINTS + bps) * step) * step
    return Money(amount_minor=tax, currency=fee.currency)


def fee_in(of: Posting) -> Money | None:
    """The fee that a posting earns, with its tax; negative if it returns one, and `None` if it does neither."""
    earned = [-entry.amount for entry in of.entries if entry.account is Account.PLATFORM_REVENUE]
    return earned[0] if earned else None


def with_tax(of: Posting, fee: Money, fee_before: Money, policy: BookingPolicy) -> Posting:
    """Divides the `fee` of a posting into revenue and tax. `fee_before` is what the platform had of the booking."""
    tax = fee_tax(fee_before + fee, policy) - fee_tax(fee_before, policy)
    lines = {entry.account: entry.amount for entry in of.entries}
    lines |= {Account.PLATFORM_REVENUE: tax - fee, Account.TAX_PAYABLE: -tax}
    return posting(of.kind, of.subject, of.booking_id, of.instructor_id, lines)
