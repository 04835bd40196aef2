"""Stripe's test cards and their behaviour (docs "Testing")."""

from sandbox.stripe.instruments import Decline, Instrument

_DECLINED = Decline("card_declined", "generic_decline", "Your card was declined.", "try_again_later", "01")
_NO_FUNDS = Decline("card_declined", "insufficient_funds", "Your card has insufficient funds.", "try_again_later", "51")
_LOST = Decline("card_declined", "lost_card", "Your card was declined.", "do_not_try_again", "41")
_STOLEN = Decline("card_declined", "stolen_card", "Your card was declined.", "do_not_try_again", "43")
_EXPIRED = Decline("expired_card", "expired_card", "Your card has expired.", "confirm_card_data", "54", "exp_month")
_WRONG_CVC = Decline(
    "incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect.", "confirm_card_data", "N7", "cvc"
)
_PROCESSING = Decline(
    "processing_error",
    "processing_error",
    "An error occurred while processing your card. Try again in a little bit.",
    "try_again_later",
)
AUTHENTICATION_REQUIRED = Decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)


_CARDS = (
    Instrument("4242424242424242", "pm_card_visa", "visa", "Succeeds"),
    Instrument("5555555555554444", "pm_card_mastercard", "mastercard", "Succeeds (Mastercard)"),
    Instrument("378282246310005", "pm_card_amex", "amex", "Succeeds (American Express)"),
    Instrument(
        "4000000000000077", "pm_card_bypassPending", "visa", "Succeeds, available at once", available_at_once=True
    ),
    Instrument(
        "4000000000000002",
        "pm_card_visa_chargeDeclined",
        "visa",
        "Declined",
        decline=_DECLINED,
    ),
    Instrument(
        "4000000000009995",
        "pm_card_visa_chargeDeclinedInsufficientFunds",
        "visa",
        "Declined: insufficient funds",
        decline=_NO_FUNDS,
    ),
    Instrument(
        "4000000000009987",
        "pm_card_visa_chargeDeclinedLostCard",
        "visa",
        "Declined: lost card",
        decline=_LOST,
    ),
    Instrument(
        "4000000000009979",
        "pm_card_visa_chargeDeclinedStolenCard",
        "visa",
        "Declined: stolen card",
        decline=_STOLEN,
    ),
    Instrument(
        "4000000000000069",
        "pm_card_chargeDeclinedExpiredCard",
        "visa",
        "Declined: expired card",
        decline=_EXPIRED,
    ),
    Instrument(
        "4000000000000127",
        "pm_card_chargeDeclinedIncorrectCvc",
        "visa",
        "Declined: incorrect CVC",
        decline=_WRONG_CVC,
    ),
    Instrument(
        "4000000000000119",
        "pm_card_chargeDeclinedProcessingError",
        "visa",
        "Declined: processing error",
        decline=_PROCESSING,
    ),
    Instrument(
        "4000000000000341",
        "pm_card_chargeCustomerFail",
        "visa",
        "Attaches to a customer, then declines",
        decline=_DECLINED,
    ),
    Instrument(
        "4000002500003155",
        "pm_card_authenticationRequiredOnSetup",
        "visa",
        "Asks for 3-D Secure",
        authentication="always",
    ),
    Instrument(
        "4000002760003184",
        "pm_card_authenticationRequired",
        "visa",
        "Asks for 3-D Secure, always",
        authentication="always",
    ),
    Instrument(
        "4000000000007726", "pm_card_pendingRefund", "visa", "Succeeds; refunds wait, then arrive", refunds="pending"
    ),
    Instrument("4000000000005126", "pm_card_refundFail", "visa", "Succeeds; refunds come back", refunds="fail"),
    Instrument(
        "4000000000000259", "pm_card_createDispute", "visa", "Succeeds, then disputed", dispute_reason="fraudulent"
    ),
    Instrument(
        "4000000000002685",
        "pm_card_createDisputeProductNotReceived",
        "visa",
        "Succeeds, then disputed: not received",
        dispute_reason="product_not_received",
    ),
    Instrument(
        "4000000000001976",
        "pm_card_createDisputeInquiry",
        "visa",
        "Succeeds, then the bank inquires",
        dispute_reason="fraudulent",
        inquiry=True,
    ),
    Instrument(
        "4000000000005423",
        "pm_card_createIssuerFraudRecord",
        "visa",
        "Succeeds, then the bank warns of fraud",
        fraud_type="unauthorized_use_of_card",
    ),
)

_ALIASES = {
    "pm_card_chargeDeclined": "pm_card_visa_chargeDeclined",
    "pm_card_chargeDeclinedInsufficientFunds": "pm_card_visa_chargeDeclinedInsufficientFunds",
    "pm_card_us": "pm_card_visa",
}

BY_NUMBER = {card.number: card for card in _CARDS}
_BY_TOKEN = {card.token: card for card in _CARDS}


def by_token(token: str) -> Instrument | None:
    return _BY_TOKEN.get(_ALIASES.get(token, token))


def listed() -> tuple[Instrument, ...]:
    return _CARDS
