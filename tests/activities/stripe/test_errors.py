"""How an error of Stripe's is translated: `Stripe-Should-Retry` comes before its status and code."""

import pytest
import stripe

from activities.stripe.errors import translated_errors
from models.domain.errors import Declined, PaymentError, ReplayedFailure, Retryable, Unknown

AGAIN, FUTILE = {"Stripe-Should-Retry": "true"}, {"Stripe-Should-Retry": "false"}
REPLAYED = FUTILE | {"Idempotent-Replayed": "true"}


@pytest.mark.parametrize(
    ("error", "status", "headers", "expected"),
    [
        (stripe.InvalidRequestError, 400, {}, Declined),
        (stripe.InvalidRequestError, 400, FUTILE, Declined),
        (stripe.InvalidRequestError, 400, AGAIN, Retryable),
        (stripe.RateLimitError, 429, {}, Retryable),
        (stripe.RateLimitError, 429, AGAIN, Retryable),
        (stripe.RateLimitError, 429, FUTILE, Unknown),
        (stripe.RateLimitError, 429, REPLAYED, ReplayedFailure),
        (stripe.PermissionError, 403, {}, Retryable),
        (stripe.PermissionError, 403, REPLAYED, ReplayedFailure),
        (stripe.APIError, 500, {}, Unknown),
        (stripe.APIError, 500, AGAIN, Unknown),
        (stripe.APIError, 500, FUTILE, Unknown),
        (stripe.APIError, 500, REPLAYED, ReplayedFailure),
    ],
)
async def test_retry_header_comes_first(
    error: type[stripe.StripeError], status: int, headers: dict[str, str], expected: type[PaymentError]
) -> None:
    raised = error("no", "", http_status=status, headers=headers)
    with pytest.raises(PaymentError) as failure:
        async with translated_errors():
            raise raised
    assert type(failure.value) is expected
