"""Business metrics, as values: amounts in minor units, rates in basis points, never a float."""

from datetime import date, timedelta

from models.domain.base import Value
from models.domain.money import BASIS_POINTS, Money


class BusinessFigures(Value):
    """The metrics of one period and one currency."""

    period_starts_on: date
    currency: str
    bookings: int
    """Made in the period, including those never paid."""
    bookings_paid: int
    """The number of those bookings that have been paid as of now."""
    sessions_ended: int
    """The number of bookings made in the period whose session has ended, in any way."""
    sessions_completed: int
    payments: int
    """Captured in the period."""
    disputes: int
    """Opened in the period."""
    gross_volume: Money
    """Captured from students in the period."""
    refunded: Money
    """Captured money returned to students in the period."""
    platform_revenue: Money
    """The platform's fees in the period, less those returned, without the tax in them."""
    stripe_fees: Money
    payout_lag: timedelta | None
    """Average time from payment to arrival at the bank, over the shares that arrived in the period."""

    @property
    def conversion_bps(self) -> int | None:
        return _bps(self.bookings_paid, self.bookings)

    @property
    def completion_bps(self) -> int | None:
        return _bps(self.sessions_completed, self.sessions_ended)

    @property
    def refund_bps(self) -> int | None:
        return _bps(self.refunded.amount_minor, self.gross_volume.amount_minor)

    @property
    def dispute_bps(self) -> int | None:
        return _bps(self.disputes, self.payments)


def _bps(part: int, whole: int) -> int | None:
    """Rounded down; `None` if `whole` is zero."""
    return part * BASIS_POINTS // whole if whole else None
