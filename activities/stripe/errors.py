"""Translates Stripe's errors to `PaymentError`s (Stripe, "Error handling", "Idempotent requests")."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import stripe

from models.domain.errors import Declined, PaymentError, ReplayedFailure, Retryable, Unknown

ACCOUNT_INVALID = "account_invalid"
"""The account is deleted, or no longer connected to this platform (Stripe, "Error codes")."""
_NO_EFFECT_CODES = frozenset({"lock_timeout", "idempotency_key_in_use", "rate_limit"})
# The last two: the API key is wrong or revoked. The step continues once it is replaced.
_NO_EFFECT = (stripe.RateLimitError, stripe.AuthenticationError, stripe.PermissionError)
_SERVER_ERROR = 500


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
    """Keeps codes and the request id only: Stripe's messages may quote parameters of the request.

    `Stripe-Should-Retry` comes before anything that the status and the code suggest (Stripe, "Error handling"). `false`
    means that Stripe has stored the response: the same request would get it again.
    """
    detail = error.error
    code = code_of(error)
    message = f"{code} (request {error.request_id or 'none'})"
    headers = error.headers or {}
    should_retry = headers.get("Stripe-Should-Retry")
    if should_retry == "true" and (error.http_status or 0) < _SERVER_ERROR:
        return Retryable(message)
    if code == ACCOUNT_INVALID:
        return Declined(code, request_id=error.request_id)
    if isinstance(error, _NO_EFFECT) or code in _NO_EFFECT_CODES:
        if should_retry != "false":
            return Retryable(message)
    elif isinstance(error, stripe.CardError | stripe.InvalidRequestError | stripe.IdempotencyError):
        decline_code = detail.decline_code if detail else None
        return Declined(code, decline_code, error.request_id, detail.param if detail else None)
    return ReplayedFailure(message) if headers.get("Idempotent-Replayed") == "true" else Unknown(message)
