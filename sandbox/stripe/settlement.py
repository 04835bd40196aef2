"""The settlement currency of the platform or of a connected account, if it is another one than it is paid in.

Every balance transaction of the account is then converted at a fixed rate, with its fee in the settlement currency.
Charges, transfers, fees, refunds and disputes keep the currency of the charge. Sources: docs "Currency conversions" and
"Work with multiple currencies"; API reference, "Balance transactions" (`exchange_rate`).
"""

from dataclasses import dataclass
from fractions import Fraction

from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.money import check_currency, half_up
from sandbox.stripe.store import Store

_SETTING = "sandbox.setting"
_SETTLEMENT = "settlement"


@dataclass(frozen=True)
class Conversion:
    """From a charge's currency to the one that is settled. The rate is between minor units, as Stripe's is."""

    currency: str
    rate: Fraction | None = None

    def of(self, amount: int) -> int:
        if self.rate is None:
            return amount
        converted = half_up(abs(amount) * self.rate.numerator, self.rate.denominator)
        return -converted if amount < 0 else converted

    @property
    def exchange_rate(self) -> float | None:
        return None if self.rate is None else float(self.rate)


def configure(store: Store, account: str, currency: str | None, rates: JsonObject) -> None:
    """Settle the balance in `currency` from now on, at the rates by charge currency. `None` settles as charged."""
    checked = {check_currency(name): str(Fraction(str(rate))) for name, rate in rates.items()}
    body = {"currency": check_currency(currency) if currency else None, "rates": checked}
    store.put(_SETTING, f"{_SETTLEMENT}:{account}", owner="", body=body)


def conversion(store: Store, account: str, currency: str) -> Conversion:
    """How the account's balance takes amounts of this currency. A currency without a rate is settled as charged."""
    setting = store.find(_SETTING, f"{_SETTLEMENT}:{account}")
    settled = setting.body["currency"] if setting else None
    if setting is None or settled in (None, currency) or currency not in setting.body["rates"]:
        return Conversion(currency)
    return Conversion(settled, Fraction(setting.body["rates"][currency]))
