"""Injected faults, and that an idempotency key still has one effect."""

import asyncio

import pytest
import stripe
from stripe import APIConnectionError, APIError, IdempotencyError, RateLimitError

from tests.sandbox.stripe.conftest import platform_at
from tests.sandbox.stripe.platform import API_KEY, Platform

BODY = "amount=5000&currency=usd&payment_method=pm_card_visa&confirm=true"


async def _charges(platform: Platform) -> int:
    return len((await platform.stripe.v1.charges.list_async()).data)


@pytest.mark.parametrize("kind", ["rate_limit", "lock_timeout"])
async def test_429_leaves_the_key_unused(platform: Platform, kind: str) -> None:
    await platform.control("POST", "/faults", {"kind": kind, "path": "/v1/payment_intents"})
    with pytest.raises(RateLimitError) as limited:
        await platform.paid()
    assert limited.value.error is not None
    assert limited.value.error.code == kind
    again = await platform.raw("POST", "/v1/payment_intents", BODY, **{"Idempotency-Key": "k"})
    assert (again.status_code, await _charges(platform)) == (200, 1)


@pytest.mark.parametrize(("should_retry", "header"), [(True, "true"), (False, "false"), (None, None)])
async def test_429_has_the_retry_header(platform: Platform, should_retry: bool | None, header: str | None) -> None:
    await platform.control("POST", "/faults", {"kind": "rate_limit", "should_retry": should_retry})
    limited = await platform.raw("POST", "/v1/payment_intents", BODY)
    assert (limited.status_code, limited.headers.get("stripe-should-retry")) == (429, header)


@pytest.mark.parametrize(("kind", "charges"), [("error_before", 0), ("error_after", 1)])
async def test_500_is_replayed_with_and_without_an_effect(platform: Platform, kind: str, charges: int) -> None:
    await platform.control("POST", "/faults", {"kind": kind})
    for _ in range(2):
        failed = await platform.raw("POST", "/v1/payment_intents", BODY, **{"Idempotency-Key": "k"})
        assert (failed.status_code, failed.json()["error"]["type"]) == (500, "api_error")
    assert await _charges(platform) == charges
    await platform.control("POST", "/faults", {"kind": kind})
    with pytest.raises(APIError):
        await platform.paid()


@pytest.mark.parametrize(("kind", "charges"), [("drop_before", 0), ("drop_after", 1)])
async def test_connection_drops_before_and_after_the_effect(platform: Platform, kind: str, charges: int) -> None:
    await platform.control("POST", "/faults", {"kind": kind})
    with pytest.raises(APIConnectionError):
        await platform.paid()
    assert await _charges(platform) == charges


async def test_retry_gets_the_lost_response(platform: Platform) -> None:
    await platform.control("POST", "/faults", {"kind": "drop_after"})
    transport = stripe.HTTPXClient(timeout=10)
    retrying = stripe.StripeClient(
        API_KEY, base_addresses={"api": platform.url}, http_client=transport, max_network_retries=2
    )
    try:
        customer = await retrying.v1.customers.create_async({"email": "a@b.test"})
    finally:
        await transport.close_async()  # type: ignore[no-untyped-call]
    [only] = (await platform.stripe.v1.customers.list_async()).data
    assert only.id == customer.id


async def test_key_of_a_request_in_progress_is_refused(platform: Platform) -> None:
    await platform.control("POST", "/faults", {"kind": "stall"})
    async with platform_at(platform.url) as other:
        first = asyncio.create_task(platform.raw("POST", "/v1/payment_intents", BODY, **{"Idempotency-Key": "k"}))
        while not (await other.control("GET", "/faults"))["faults"][0]["hits"]:
            pass
        second = await other.raw("POST", "/v1/payment_intents", BODY, **{"Idempotency-Key": "k"})
        assert (second.status_code, second.json()["error"]["type"]) == (409, "idempotency_error")
        with pytest.raises(IdempotencyError):
            await other.stripe.v1.payment_intents.create_async(
                {"amount": 9_000, "currency": "usd"}, {"idempotency_key": "k"}
            )
        await other.control("DELETE", "/faults")
    assert (await first).status_code == 200
    assert await _charges(platform) == 1


async def test_faults_occur_at_a_rate_until_cleared(platform: Platform) -> None:
    fault = {"kind": "rate_limit", "times": None, "rate_percent": 50, "seed": 7, "method": "GET"}
    await platform.control("POST", "/faults", fault)
    statuses = {(await platform.raw("GET", "/v1/balance")).status_code for _ in range(40)}
    assert statuses == {200, 429}
    await platform.control("DELETE", "/faults")
    statuses = {(await platform.raw("GET", "/v1/balance")).status_code for _ in range(10)}
    assert statuses == {200}


async def test_unknown_fault_is_refused(platform: Platform) -> None:
    refused = await platform.browser.post("/_sandbox/faults", json={"kind": "sabotage"})
    assert refused.status_code == 400
