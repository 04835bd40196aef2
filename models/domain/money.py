"""Money: integer minor units with a currency. Mixing currencies raises; rounding has a name; no floats.

The exponents are Stripe's own, which differ from ISO 4217 as libraries have it (MGA, UGX, ISK): an amount that
is valid here is valid at Stripe. Source: Stripe, "Supported currencies" (zero-decimal, three-decimal and
special-case currencies, minimum charge amounts).
"""

from enum import StrEnum
from functools import total_ordering
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Currency = Annotated[str, StringConstraints(pattern=r"^[a-z]{3}$")]

BASIS_POINTS = 10_000

_ZERO_DECIMAL = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())
_TWO_DECIMAL = frozenset(
    """aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf chf cny cop crc
    cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr jmd kes kgs khr kyd
    kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php
    pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs uah usd uyu uzs
    wst xcd yer zar zmw""".split()
)
_THREE_DECIMAL = frozenset("bhd jod kwd omr tnd".split())

# Sent with two decimals, which must be 00, although the currency has none.
_WHOLE_UNITS_ONLY = frozenset("isk ugx".split())

SUPPORTED = _ZERO_DECIMAL | _TWO_DECIMAL | _THREE_DECIMAL | _WHOLE_UNITS_ONLY
"""The currencies in which Stripe charges cards."""

_MINIMUM_CHARGE_MINOR = {
    "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50,
    "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50,
    "pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1000, "usd": 50,
}  # fmt: skip
_MAXIMUM_MINOR = 99_999_999
"""Eight digits (Stripe API, "Create a PaymentIntent", `amount`). A few currencies allow more, which is not used."""


class CurrencyMismatch(ValueError):
    """Two amounts in different currencies were added, subtracted or compared."""


class Rounding(StrEnum):
    """How a fraction of a minor unit is rounded."""

    HALF_UP = "HALF_UP"
    HALF_EVEN = "HALF_EVEN"
    DOWN = "DOWN"

    def divide(self, numerator: int, denominator: int) -> int:
        """`numerator / denominator` as a whole number, for a numerator >= 0 and a denominator > 0."""
        whole, rest = divmod(numerator, denominator)
        match self:
            case Rounding.DOWN:
                return whole
            case Rounding.HALF_UP:
                return whole + (2 * rest >= denominator)
            case Rounding.HALF_EVEN:
                return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1))


def exponent(currency: str) -> int:
    """How many decimals Stripe's minor unit of `currency` has: 0, 2 or 3."""
    if currency in _ZERO_DECIMAL:
        return 0
    return 3 if currency in _THREE_DECIMAL else 2


def step_minor(currency: str) -> int:
    """The smallest step, in minor units, that Stripe accepts an amount of `currency` in."""
    if currency in _THREE_DECIMAL:
        return 10
    return 100 if currency in _WHOLE_UNITS_ONLY else 1


def minimum_charge(currency: str) -> "Money":
    """Stripe's minimum charge in `currency`; one step if Stripe publishes none."""
    return Money(amount_minor=_MINIMUM_CHARGE_MINOR.get(currency, step_minor(currency)), currency=currency)


@total_ordering
class Money(BaseModel):
    """An amount in `currency`'s minor units (cents for usd). Raises `CurrencyMismatch` on mixed arithmetic."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        strict=True,
        use_attribute_docstrings=True,
        # OpenAPI shows this instead of the docstring, which is for readers of the code.
        json_schema_extra={"description": "An amount of money as a whole number of minor units, as Stripe has them."},
    )

    amount_minor: int
    """In the currency's minor unit as Stripe defines it: cents for `usd`, whole yen for `jpy`."""
    currency: Currency
    """Three lower-case letters, as in ISO 4217."""
    """ISO 4217, in lower case."""

    def __add__(self, other: "Money") -> "Money":
        return self._with(self.amount_minor + self._amount_of_same_currency(other))

    def __sub__(self, other: "Money") -> "Money":
        return self._with(self.amount_minor - self._amount_of_same_currency(other))

    def __lt__(self, other: "Money") -> bool:
        return self.amount_minor < self._amount_of_same_currency(other)

    def __neg__(self) -> "Money":
        return self._with(-self.amount_minor)

    def __bool__(self) -> bool:
        return self.amount_minor != 0

    def portion(self, bps: int, rounding: Rounding) -> "Money":
        """`bps` basis points of this amount, rounded to a step that Stripe accepts, never above the amount.

        Raises `ValueError` for a negative amount or a portion outside 0..10000.
        """
        if self.amount_minor < 0 or not 0 <= bps <= BASIS_POINTS:
            raise ValueError(f"no portion of {bps} basis points of {self.amount_minor}")
        step = step_minor(self.currency)
        rounded = rounding.divide(self.amount_minor * bps, BASIS_POINTS * step) * step
        return self._with(min(rounded, self.amount_minor))

    def zero(self) -> "Money":
        return self._with(0)

    def format(self) -> str:
        """For log lines and tables, e.g. `100.00 USD`; a user interface formats by the user's locale."""
        return f"{self.in_units()} {self.currency.upper()}"

    def in_units(self) -> str:
        """Without the currency, e.g. `100.00`."""
        decimals = exponent(self.currency)
        sign = "-" if self.amount_minor < 0 else ""
        whole, rest = divmod(abs(self.amount_minor), 10**decimals)
        fraction = f".{rest:0{decimals}d}" if decimals else ""
        return f"{sign}{whole}{fraction}"

    def _amount_of_same_currency(self, other: "Money") -> int:
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} do not mix")
        return other.amount_minor

    def _with(self, amount_minor: int) -> "Money":
        return Money(amount_minor=amount_minor, currency=self.currency)


def chargeable(price: Money) -> Money:
    """The price itself, if Stripe can charge it. Raises `ValueError`, with the reason, if not."""
    if reason := not_accepted(price, is_charge=True):
        raise ValueError(reason)
    return price


def not_accepted(amount: Money, *, is_charge: bool = False) -> str | None:
    """Why Stripe accepts no such amount, as a phrase; `None` if it does.

    `is_charge` is for prices and captures, which have a minimum. Refunds, reversals and corrections have none.
    """
    currency, step = amount.currency, step_minor(amount.currency)
    if currency not in SUPPORTED:
        return f"{currency} is no currency that can be charged"
    if is_charge and amount < (minimum := minimum_charge(currency)):
        return f"{amount.format()} is below the least that can be charged: {minimum.format()}"
    if amount.amount_minor < 1:
        return "an amount must be more than nothing"
    if amount.amount_minor > _MAXIMUM_MINOR:
        most = Money(amount_minor=_MAXIMUM_MINOR // step * step, currency=currency)
        return f"{amount.format()} is above the most that can be charged: {most.format()}"
    if amount.amount_minor % step:
        return f"an amount in {currency} must be a multiple of {step} minor units"
    return None
