"""Stripe's test cards and their behaviour (docs "Testing")."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Card:
    """A test card: its number, its `pm_card_` token and its behaviour.

    Only the code `card_declined` has a `decline_code`, the issuer's reason. The other codes are Stripe's own errors.
    """

    number: str
    token: str
    brand: str
    description: str
    code: str | None = None
    decline_code: str | None = None
    authentication: Literal["never", "always", "off_session"] = "never"
    dispute_reason: str | None = None
    available_at_once: bool = False
    refunds: Literal["succeed", "pending", "fail"] = "succeed"

    @property
    def last4(self) -> str:
        return self.number[-4:]

    @property
    def fingerprint(self) -> str:
        return f"Sandbox{self.number[-9:]}"


_CARDS = (
    Card("4242424242424242", "pm_card_visa", "visa", "Succeeds"),
    Card("5555555555554444", "pm_card_mastercard", "mastercard", "Succeeds (Mastercard)"),
    Card("378282246310005", "pm_card_amex", "amex", "Succeeds (American Express)"),
    Card("4000000000000077", "pm_card_bypassPending", "visa", "Succeeds, available at once", available_at_once=True),
    Card(
        "4000000000000002",
        "pm_card_visa_chargeDeclined",
        "visa",
        "Declined",
        code="card_declined",
        decline_code="generic_decline",
    ),
    Card(
        "4000000000009995",
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        "visa",
        "Declined: insufficient funds",
        code="card_declined",
        decline_code="insufficient_funds",
    ),
    Card(
        "4000000000009987",
        "pm_card_visa_chargeDeclinedLostCard",
        "visa",
        "Declined: lost card",
        code="card_declined",
        decline_code="lost_card",
    ),
    Card(
        "4000000000009979",
        "pm_card_visa_chargeDeclinedStolenCard",
        "visa",
        "Declined: stolen card",
        code="card_declined",
        decline_code="stolen_card",
    ),
    Card(
        "4000000000000069",
        "pm_card_chargeDeclinedExpiredCard",
        "visa",
        "Declined: expired card",
        code="expired_card",
    ),
    Card(
        "4000000000000127",
        "pm_card_chargeDeclinedIncorrectCvc",
        "visa",
        "Declined: incorrect CVC",
        code="incorrect_cvc",
    ),
    Card(
        "4000000000000119",
        "pm_card_chargeDeclinedProcessingError",
        "visa",
        "Declined: processing error",
        code="processing_error",
    ),
    Card(
        "4000000000000341",
        "pm_card_chargeCustomerFail",
        "visa",
        "Attaches to a customer, then declines",
        code="card_declined",
        decline_code="generic_decline",
    ),
    Card(
        "4000002500003155",
        "pm_card_authenticationRequiredOnSetup",
        "visa",
        "Asks for 3-D Secure",
        authentication="always",
    ),
    Card(
        "4000002760003184",
        "pm_card_authenticationRequired",
        "visa",
        "Asks for 3-D Secure, always",
        authentication="always",
    ),
    Card("4000000000007726", "pm_card_pendingRefund", "visa", "Succeeds; refunds wait, then arrive", refunds="pending"),
    Card("4000000000005126", "pm_card_refundFail", "visa", "Succeeds; refunds come back", refunds="fail"),
    Card("4000000000000259", "pm_card_createDispute", "visa", "Succeeds, then disputed", dispute_reason="fraudulent"),
    Card(
        "4000000000002685",
        "pm_card_createDisputeProductNotReceived",
        "visa",
        "Succeeds, then disputed: not received",
        dispute_reason="product_not_received",
    ),
)

_ALIASES = {
    "pm_card_chargeDeclined": "pm_card_visa_chargeDeclined",
    "pm_card_chargeDeclinedInsufficientFunds": "pm_card_visa_chargeDeclinedInsufficientFunds",
    "pm_card_us": "pm_card_visa",
}

BY_NUMBER = {card.number: card for card in _CARDS}
_BY_TOKEN = {card.token: card for card in _CARDS}

DECLINE_MESSAGES = {
    "card_declined": "Your card was declined.",
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "authentication_required": ("Your card was declined. This transaction requires authentication."),
}


def by_token(token: str) -> Card | None:
    return _BY_TOKEN.get(_ALIASES.get(token, token))


def decline_message(code: str, decline_code: str | None) -> str:
    return DECLINE_MESSAGES.get(decline_code or "") or DECLINE_MESSAGES[code]


def listed() -> tuple[Card, ...]:
    return _CARDS
