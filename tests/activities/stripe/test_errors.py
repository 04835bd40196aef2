"""Each of Stripe's errors is final, to be tried again later, or leaves the outcome unknown."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe

from activities.stripe.balances import StripeBalances
from activities.stripe.errors import translated_errors
from activities.stripe.payments import StripeGateway
from models.domain.errors import Declined, PaymentError, ReplayedFailure, Retryable, Unknown
from models.domain.money import Money

JSON = dict[str, str]
AGAIN, FUTILE = {"Stripe-Should-Retry": "true"}, {"Stripe-Should-Retry": "false"}
REPLAYED = FUTILE | {"Idempotent-Replayed": "true"}


class Answering(stripe.HTTPXClient):
    """A server that answers each request with this error."""

    def __init__(self, status: int, error: JSON, headers: JSON) -> None:
        super().__init__()
        self._answer = (
            json.dumps({"error": error | {"message": "It quotes ada@example.com."}}).encode(),
            status,
            headers,
        )

    async def request_async(self, *arguments: Any, **options: Any) -> tuple[bytes, int, Any]:
        return self._answer


async def sorted_as(status: int, error: JSON, headers: JSON | None = None) -> PaymentError:
    client = stripe.StripeClient("sk_test_1", http_client=Answering(status, error, headers or {}))
    with pytest.raises(PaymentError) as raised:
        async with translated_errors():
            await client.v1.balance.retrieve_async()
    return raised.value


def refused(code: str, **more: str) -> JSON:
    return {"type": "invalid_request_error", "code": code, **more}


@pytest.mark.parametrize(
    ("status", "error", "headers", "expected"),
    [
        (402, {"type": "card_error", "code": "card_declined"}, {}, Declined),
        (400, refused("amount_too_large"), {}, Declined),
        (404, refused("resource_missing", param="id"), {}, Declined),
        (400, {"type": "idempotency_error"}, {}, Declined),
        (403, refused("account_invalid"), {}, Declined),
        (403, {"type": "invalid_request_error"}, {}, Retryable),
        (401, {"type": "invalid_request_error"}, {}, Retryable),
        (429, refused("rate_limit"), {}, Retryable),
        (429, refused("lock_timeout"), {}, Retryable),
        (409, {"type": "idempotency_error", "code": "idempotency_key_in_use"}, {}, Retryable),
        (500, {"type": "api_error"}, {}, Unknown),
        (500, {"type": "api_error"}, {"Idempotent-Replayed": "true"}, ReplayedFailure),
    ],
)
async def test_error_is_sorted(status: int, error: JSON, headers: JSON, expected: type[PaymentError]) -> None:
    found = await sorted_as(status, error, headers)
    assert type(found) is expected
    assert "ada" not in str(found)


async def test_final_error_names_the_parameter_that_is_gone() -> None:
    found = await sorted_as(400, refused("resource_missing", param="customer"))
    assert isinstance(found, Declined)
    assert found.is_missing_customer


async def test_charge_that_stripe_does_not_know_has_no_balances() -> None:
    missing = refused("resource_missing", param="id")
    client = stripe.StripeClient("sk_test_1", http_client=Answering(404, missing, {}))
    found = await StripeBalances(client).of_charge("ch_1", "usd")
    nothing = Money(amount_minor=0, currency="usd")
    assert (found.held, found.platform, found.connected, found.fee) == (nothing, nothing, nothing, None)


async def test_account_that_is_gone_has_no_events_and_no_balance() -> None:
    client = stripe.StripeClient("sk_test_1", http_client=Answering(403, refused("account_invalid"), {}))
    balances = StripeBalances(client)
    assert [event async for event in balances.events("acct_1", datetime.now(UTC))] == []
    assert await balances.balance_of("acct_1") == {}
    assert (await StripeGateway(client, "http://127.0.0.1:1").look_up_account("acct_1")).is_gone


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
