"""Amounts as Stripe defines them: integer minor units, with Stripe's number of decimals per currency."""

from dataclasses import dataclass

from sandbox.stripe.errors import invalid

# Docs "Supported currencies", "Zero-decimal currencies" and "Special cases".
ZERO_DECIMAL = frozenset("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())
THREE_DECIMAL = frozenset("bhd jod kwd omr tnd".split())
WHOLE_UNITS_IN_TWO_DECIMALS = frozenset("isk ugx".split())
TWO_DECIMAL = frozenset(
    """aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd cad cdf chf cny
    cop crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd hnl htg huf idr ils inr jmd kes
    kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd
    pab pen pgk php pkr pln qar ron rsd rub sar sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd
    tzs uah usd uyu uzs wst xcd yer zar zmw""".split()
)
SUPPORTED = ZERO_DECIMAL | THREE_DECIMAL | WHOLE_UNITS_IN_TWO_DECIMALS | TWO_DECIMAL

MAX_AMOUNT = 99_999_999

# Docs "Minimum and maximum charge amounts". Other currencies have a minimum of about 0.50 USD, which is not modelled.
_MIN_CHARGE = {
    "usd": 50, "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1_500, "dkk": 250,
    "eur": 50, "gbp": 30, "hkd": 400, "huf": 17_500, "inr": 50, "jpy": 50, "mxn": 1_000, "myr": 200, "nok": 300,
    "nzd": 50, "pln": 200, "ron": 200, "sek": 300, "sgd": 50, "thb": 1_000,
}  # fmt: skip

_BPS = 10_000


@dataclass(frozen=True)
class ProcessingFee:
    """Stripe's fee for a payment: a rate, rounded half up, a fixed part, and a cap where there is one."""

    bps: int
    fixed_minor: int
    cap_minor: int | None = None

    def of(self, amount: int) -> int:
        fee = half_up(amount * self.bps, _BPS) + self.fixed_minor
        return fee if self.cap_minor is None else min(fee, self.cap_minor)


CARD_FEE = ProcessingFee(290, 30)


def half_up(numerator: int, denominator: int) -> int:
    """Integer division of non-negative numbers, rounded half up."""
    return (2 * numerator + denominator) // (2 * denominator)


def proportional_part(whole: int, done_before: int, done_after: int, of: int) -> int:
    """The share of `whole` for the step from `done_before` to `done_after`, out of `of`.

    A share is the difference of two rounded totals, so that the shares of all steps add up to `whole` exactly.
    """
    return half_up(whole * done_after, of) - half_up(whole * done_before, of)


def check_currency(currency: str, param: str = "currency") -> str:
    """The currency in lower case.

    Raises:
        StripeError: 400 for a currency that Stripe does not support.
    """
    lower = currency.lower()
    if lower not in SUPPORTED:
        message = (
            f"Invalid currency: {lower}. Stripe currently supports these currencies: {', '.join(sorted(SUPPORTED))}"
        )
        raise invalid(message, param=param)
    return lower


def check_charge_amount(amount: int, currency: str, param: str = "amount") -> None:
    """Raises StripeError, with Stripe's code, for an amount that can't be charged in this currency."""
    check_positive(amount, param)
    if amount > MAX_AMOUNT:
        raise invalid(
            f"Amount must be no more than {formatted(MAX_AMOUNT, currency)}", code="amount_too_large", param=param
        )
    if amount < _MIN_CHARGE.get(currency, 1):
        minimum = formatted(_MIN_CHARGE[currency], currency)
        raise invalid(f"Amount must be at least {minimum}", code="amount_too_small", param=param)
    check_step(amount, currency, param)


def check_step(amount: int, currency: str, param: str) -> None:
    """Raises StripeError for a fraction that the currency does not take (docs "Special cases")."""
    step = 10 if currency in THREE_DECIMAL else 100 if currency in WHOLE_UNITS_IN_TWO_DECIMALS else 1
    if amount % step:
        raise invalid(f"Invalid amount: {currency} amounts must be a multiple of {step}.", param=param)


def check_positive(amount: int, param: str = "amount") -> None:
    """Raises StripeError for an amount below one minor unit."""
    if amount < 1:
        message = "This value must be greater than or equal to 1."
        raise invalid(message, code="parameter_invalid_integer", param=param)


def formatted(amount: int, currency: str) -> str:
    """The amount as text for messages and pages, such as `$12.50`, computed in integers."""
    decimals = 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2
    sign = "-" if amount < 0 else ""
    whole, rest = divmod(abs(amount), 10**decimals)
    symbol = {"usd": "$", "eur": "€", "gbp": "£", "jpy": "¥"}.get(currency, "")
    number = f"{whole:,}" + (f".{rest:0{decimals}d}" if decimals else "")
    return f"{sign}{symbol}{number}" if symbol else f"{sign}{number} {currency}"
