"""Payment methods that a plan can use.

Sources: Stripe, "Place a hold on a payment method", "Payment method support", "Delayed notification payment methods".
"""

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

_DEFAULT = timedelta(days=7)
"""Where Stripe documents no other (API reference, "Capture a PaymentIntent")."""
HOLD_DURATIONS: Mapping[str, timedelta] = MappingProxyType(
    {
        "affirm": timedelta(days=30),
        "afterpay_clearpay": timedelta(days=13),
        "alma": _DEFAULT,
        "amazon_pay": _DEFAULT,
        "billie": _DEFAULT,
        "card": timedelta(days=7),
        "cashapp": timedelta(days=7),
        "klarna": timedelta(days=28),
        "link": _DEFAULT,
        "mobilepay": _DEFAULT,
        "paypal": timedelta(days=10),
        "revolut_pay": _DEFAULT,
        "satispay": _DEFAULT,
    }
)
"""How long an authorization lasts, by method that Checkout can capture manually. A card's charge has the real end in
`capture_before`; of the others, only this is known. Any other method cannot be held."""

DELAYED = (
    "acss_debit",
    "au_becs_debit",
    "bacs_debit",
    "boleto",
    "customer_balance",
    "konbini",
    "multibanco",
    "oxxo",
    "sepa_debit",
    "us_bank_account",
)
"""Methods whose payments succeed or fail days after Checkout (Stripe, "Delayed notification payment methods")."""
