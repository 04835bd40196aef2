"""Payments that fail: the intent requires another payment method (docs "How PaymentIntents work")."""

from sandbox.stripe import charges
from sandbox.stripe.context import Context
from sandbox.stripe.errors import StripeError, card_declined
from sandbox.stripe.instruments import Decline
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.store import Record


def authentication_failed(context: Context, intent: Record, method: Record) -> StripeError:
    """3-D Secure failed: the intent requires a payment method again, and has no charge."""
    message = (
        "We are unable to authenticate your payment method. Please choose a different payment method and try again."
    )
    error: JsonObject = {
        "code": "payment_intent_authentication_failure",
        "message": message,
        "payment_method": method.body,
        "type": "invalid_request_error",
    }
    intent.body |= {
        "last_payment_error": error,
        "next_action": None,
        "payment_method": None,
        "status": "requires_payment_method",
    }
    context.store.save(intent)
    context.emit(intent, "payment_intent.payment_failed")
    return StripeError(402, "card_error", message, code=error["code"], keeps_effects=True)


def declined(context: Context, intent: Record, method: Record, decline: Decline) -> StripeError:
    """The card was declined: a failed charge is recorded."""
    failure = decline.failure()
    charge = charges.make(context, intent, method, failure=failure)
    _fail(context, intent, charge, failure | {"payment_method": method.body, "type": "card_error"})
    extra = {"payment_intent": context.view(intent), "payment_method": method.body}
    return card_declined(failure | {"charge": charge.id} | extra)


def debit_failed(context: Context, intent: Record, charge: Record, method: Record, decline: Decline) -> None:
    """The bank returned a debit that was processing."""
    failure = decline.failure()
    charge.body |= charges.failed(failure)
    context.store.save(charge)
    _fail(context, intent, charge, failure | {"payment_method": method.body, "type": "invalid_request_error"})


def _fail(context: Context, intent: Record, charge: Record, error: JsonObject) -> None:
    doc_url = f"https://stripe.com/docs/error-codes/{error['code'].replace('_', '-')}"
    intent.body |= {
        "last_payment_error": error | {"charge": charge.id, "doc_url": doc_url},
        "latest_charge": charge.id,
        "next_action": None,
        "payment_method": None,
        "status": "requires_payment_method",
    }
    context.store.save(intent)
    context.emit(charge, "charge.failed")
    context.emit(intent, "payment_intent.payment_failed")
