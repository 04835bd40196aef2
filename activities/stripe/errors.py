"""Stripe's errors, sorted into declined, retryable and unknown (Stripe, "Error handling", "Idempotent requests")."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import stripe

from models.domain.errors import Declined, PaymentError, ReplayedFailure, Retryable, Unknown

_NOTHING_HAPPENED = frozenset({"lock_timeout", "idempotency_key_in_use", "rate_limit"})


@asynccontextmanager
async def translated_errors() -> AsyncIterator[None]:
    """Sort Stripe's errors into declined, retryable and unknown."""
    try:
        yield
    except stripe.StripeError as error:
        raise _sorted(error) from None


def code_of(error: stripe.StripeError) -> str:
    """Stripe's. Some of the SDK's errors have it only in their body."""
    return (error.error.code if error.error else None) or error.code or type(error).__name__


def _sorted(error: stripe.StripeError) -> PaymentError:
    """Only codes and the request id are kept: Stripe's messages may quote what was sent."""
    detail = error.error
    code = code_of(error)
    where = f"{code} (request {error.request_id or 'none'})"
    if isinstance(error, stripe.RateLimitError) or code in _NOTHING_HAPPENED:
        return Retryable(where)
    # A wrong or withdrawn key is ours to mend: nothing happened, and the step goes on once it is mended.
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return Retryable(where)
    if isinstance(error, stripe.CardError | stripe.InvalidRequestError | stripe.IdempotencyError):
        decline_code = detail.decline_code if detail else None
        return Declined(code, decline_code, error.request_id)
    if (error.headers or {}).get("Idempotent-Replayed") == "true":
        return ReplayedFailure(where)
    return Unknown(where)
