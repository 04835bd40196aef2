"""The types of payment methods: where they can be used, and how they behave.

Sources: docs "Payment method support" and the page of each payment method for currencies, business locations, manual
capture, redirects and asynchronous refunds; docs "Place a hold on a payment method" for the days of a hold; docs "ACH
Direct Debit", "SEPA Direct Debit" and "Bacs Direct Debit" for the days until a debit is confirmed.
"""

from dataclasses import dataclass

from sandbox.stripe.money import CARD_FEE, ProcessingFee

_EEA = "at be bg cy cz de dk ee es fi fr gr hr hu ie it li lt lu lv mt nl no pl pt ro se si sk"
_BANKS_IN_EUROPE = f"{_EEA} au ca ch gb hk jp mx nz sg us"

# API reference, "Capture a PaymentIntent": uncaptured intents are cancelled after 7 days by default.
DEFAULT_HOLD_DAYS = 7


@dataclass(frozen=True)
class PaymentMethodType:
    """A type of payment method. Without currencies or countries, it can be used with all of them."""

    name: str
    label: str
    currencies: str = ""
    countries: str = ""
    hold_days: int | None = None
    """How long a hold lasts, or None if the method cannot be captured manually."""
    hold_ends_at_midnight: bool = False
    redirects: bool = False
    confirmed_after_days: int = 0
    """A debit is `processing` until then. Its money is available at once when it is confirmed."""
    refund_seconds: int = 0
    """How long a refund is pending."""
    refund_destination: str | None = None
    """The name of the type in a refund's `destination_details`, if it has one."""
    fee: ProcessingFee = CARD_FEE

    def is_usable(self, currency: str, country: str, *, manual: bool) -> bool:
        in_currency = not self.currencies or currency in self.currencies.split()
        in_country = not self.countries or country.lower() in self.countries.split()
        return in_currency and in_country and (self.hold_days is not None or not manual)


ALL = (
    PaymentMethodType("card", "Card", hold_days=DEFAULT_HOLD_DAYS),
    PaymentMethodType("link", "Link", hold_days=DEFAULT_HOLD_DAYS),
    PaymentMethodType(
        "klarna",
        "Klarna",
        "aud cad chf czk dkk eur gbp nok nzd pln ron sek usd",
        "at au be ca ch cy cz de dk ee es fi fr gb gr hr ie it lt lu lv mt nl no nz pl pt ro se si sk us",
        hold_days=28,
        hold_ends_at_midnight=True,
        redirects=True,
        refund_destination="klarna",
        fee=ProcessingFee(599, 30),
    ),
    PaymentMethodType(
        "affirm",
        "Affirm",
        "cad usd",
        "ca us",
        hold_days=30,
        redirects=True,
        refund_destination="affirm",
        fee=ProcessingFee(600, 30),
    ),
    PaymentMethodType(
        "afterpay_clearpay",
        "Afterpay",
        "aud cad gbp nzd usd",
        "au ca gb nz us",
        hold_days=13,
        redirects=True,
        refund_destination="afterpay_clearpay",
        fee=ProcessingFee(600, 30),
    ),
    PaymentMethodType(
        "amazon_pay",
        "Amazon Pay",
        "aud chf dkk eur gbp hkd jpy nok nzd sek usd zar",
        "at be ch cy de dk es fr gb hu ie it lu nl pt se us",
        hold_days=DEFAULT_HOLD_DAYS,
        redirects=True,
        refund_seconds=300,
        refund_destination="amazon_pay",
    ),
    PaymentMethodType(
        "cashapp", "Cash App Pay", "usd", "us", hold_days=7, redirects=True, refund_destination="cashapp"
    ),
    # Stripe tries to extend a hold of PayPal's to 20 days. That may fail, and does here.
    PaymentMethodType(
        "paypal",
        "PayPal",
        "aud cad chf czk dkk eur gbp hkd nok nzd pln sek sgd usd",
        "at be bg ch cy cz de dk ee es fi fr gb gr hr ie it li lt lu lv mt nl no pl pt ro se si sk",
        hold_days=10,
        redirects=True,
        refund_destination="paypal",
    ),
    PaymentMethodType(
        "revolut_pay",
        "Revolut Pay",
        "eur gbp",
        f"{_EEA} gb",
        hold_days=DEFAULT_HOLD_DAYS,
        redirects=True,
        refund_seconds=300,
        refund_destination="revolut",
    ),
    PaymentMethodType("mobilepay", "MobilePay", "dkk eur nok sek", _EEA, hold_days=DEFAULT_HOLD_DAYS, redirects=True),
    PaymentMethodType(
        "satispay",
        "Satispay",
        "eur",
        "at be cy de ee es fi fr gr hr ie it lt lu lv mt nl pt si sk",
        hold_days=DEFAULT_HOLD_DAYS,
        redirects=True,
        refund_seconds=300,
    ),
    PaymentMethodType(
        "alma", "Alma", "eur", "fr", hold_days=DEFAULT_HOLD_DAYS, redirects=True, refund_destination="alma"
    ),
    PaymentMethodType(
        "billie",
        "Billie",
        "chf dkk eur gbp nok sek",
        "at ch de dk es fi fr gb nl no se",
        hold_days=DEFAULT_HOLD_DAYS,
        redirects=True,
        refund_seconds=300,
    ),
    PaymentMethodType("ideal", "iDEAL", "eur", _BANKS_IN_EUROPE, redirects=True, fee=ProcessingFee(0, 80)),
    PaymentMethodType(
        "us_bank_account",
        "US bank account",
        "usd",
        "gb us",
        confirmed_after_days=4,
        fee=ProcessingFee(80, 0, 500),
    ),
    PaymentMethodType(
        "sepa_debit",
        "SEPA Direct Debit",
        "eur",
        _BANKS_IN_EUROPE,
        confirmed_after_days=6,
        fee=ProcessingFee(80, 30, 600),
    ),
    PaymentMethodType(
        "bacs_debit", "Bacs Direct Debit", "gbp", "gb", confirmed_after_days=7, fee=ProcessingFee(100, 0, 200)
    ),
)

BY_NAME = {type.name: type for type in ALL}
