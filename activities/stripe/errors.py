"""Translates Stripe's errors to `PaymentError`s (Stripe, "Error handling", "Idempotent requests")."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import stripe

from models.domain.errors import Declined, PaymentError, ReplayedFailure, Retryable, Unknown

_NO_EFFECT_CODES = frozenset({"lock_timeout", "idempotency_key_in_use", "rate_limit"})


@asynccontextmanager
async def translated_errors() -> AsyncIterator[None]:
    """Raise `Declined`, `Retryable` or `Unknown` in place of Stripe's errors."""
    try:
        yield
    except stripe.StripeError as error:
        raise _translate(error) from None


def code_of(error: stripe.StripeError) -> str:
    """Stripe's error code. Some of the SDK's errors have it only in their body."""
    return (error.error.code if error.error else None) or error.code or type(error).__name__


def _translate(error: stripe.StripeError) -> PaymentError:
    """Keeps codes and the request id only: Stripe's messages may quote parameters of the request."""
    detail = error.error
    code = code_of(error)
    message = f"{code} (request {error.request_id or 'none'})"
    if isinstance(error, stripe.RateLimitError) or code in _NO_EFFECT_CODES:
        return Retryable(message)
    # The API key is wrong or revoked. Nothing happened, and the step continues once the key is replaced.
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return Retryable(message)
    if isinstance(error, stripe.CardError | stripe.InvalidRequestError | stripe.IdempotencyError):
        decline_code = detail.decline_code if detail else None
        return Declined(code, decline_code, error.request_id)
    if (error.headers or {}).get("Idempotent-Replayed") == "true":
        return ReplayedFailure(message)
    return Unknown(message)
