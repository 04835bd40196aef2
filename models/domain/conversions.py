"""A charge that Stripe has converted, because the platform settles in another currency.

A transfer of its parts is in the currency of the settlement: Stripe refuses any other (Stripe, "Create separate charges
and transfers"). Shares are agreed in the currency of the charge, and a share is always the same part of both amounts.
"""

from models.domain.base import Value
from models.domain.money import Money, Rounding, step_minor

ROUNDING = Rounding.DOWN
"""Of a share that is converted. So the shares of a charge are never more than what was settled."""


class Conversion(Value):
    charged: Money
    settled: Money
    """What the charge has become on the platform's balance, before Stripe's fee."""

    def of(self, share: Money) -> Money:
        """A part of the charge, in the currency of the settlement, in a step that Stripe accepts.

        Raises `CurrencyMismatch`.
        """
        part, step = share.amount_minor if share <= self.charged else self.charged.amount_minor, self._step
        minor = ROUNDING.divide(part * self.settled.amount_minor, self.charged.amount_minor * step) * step
        return Money(amount_minor=minor, currency=self.settled.currency)

    def back(self, settled_minor: int) -> Money:
        """The least part of the charge that is converted to this much."""
        whole = -(-settled_minor * self.charged.amount_minor // self.settled.amount_minor)
        return Money(amount_minor=min(whole, self.charged.amount_minor), currency=self.charged.currency)

    @property
    def _step(self) -> int:
        return step_minor(self.settled.currency)
