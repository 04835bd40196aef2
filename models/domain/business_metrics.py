"""The business in figures, as values: amounts in minor units, rates in basis points, never a float."""

from datetime import date, timedelta

from models.domain.base import Value
from models.domain.money import BASIS_POINTS, Money


class BusinessFigures(Value):
    """Of one period and one currency."""

    period_starts_on: date
    currency: str
    bookings: int
    """Made in the period, those included that were never paid."""
    bookings_paid: int
    """Of them, those whose payment was taken, as of now."""
    sessions_ended: int
    """Of the bookings made in the period, those whose session is over, whichever way."""
    sessions_completed: int
    payments: int
    """Taken in the period."""
    disputes: int
    """Opened in the period."""
    gross_volume: Money
    """Taken from students in the period."""
    refunded: Money
    """Given back in the period of what had been taken."""
    platform_revenue: Money
    """The platform's fees in the period, less those it gave up."""
    stripe_fees: Money
    payout_lag: timedelta | None
    """From a payment to the bank, on average over the shares that arrived there in the period."""

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
    """Rounded down; `None` where there is nothing to be a part of."""
    return part * BASIS_POINTS // whole if whole else None
