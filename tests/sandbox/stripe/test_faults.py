"""What goes wrong on order, and that a key still stands for one effect."""

import asyncio

import pytest
import stripe
from stripe import APIConnectionError, APIError, IdempotencyError, RateLimitError

from tests.sandbox.stripe.conftest import shopping
from tests.sandbox.stripe.platform import API_KEY, Platform

BODY = "amount=5000&currency=usd&payment_method=pm_card_visa&confirm=true"


async def _charges(platform: Platform) -> int:
    return len((await platform.stripe.v1.charges.list_async()).data)


@pytest.mark.parametrize("kind", ["rate_limit", "lock_timeout"])
async def test_a_429_comes_before_the_key_is_used(platform: Platform, kind: str) -> None:
    await platform.control("POST", "/faults", {"kind": kind, "path": "/v1/payment_intents"})
    with pytest.raises(RateLimitError) as limited:
        await platform.paid()
    assert limited.value.error is not None
    assert limited.value.error.code == kind
    again = await platform.raw("POST", "/v1/payment_intents", BODY, **{"Idempotency-Key": "k"})
    assert (again.status_code, await _charges(platform)) == (200, 1)


@pytest.mark.parametrize(("should_retry", "header"), [(True, "true"), (False, "false"), (None, None)])
async def test_a_429_says_whether_to_retry(platform: Platform, should_retry: bool | None, header: str | None) -> None:
    await platform.control("POST", "/faults", {"kind": "rate_limit", "should_retry": should_retry})
    limited = await platform.raw("POST", "/v1/payment_intents", BODY)
    assert (limited.status_code, limited.headers.get("stripe-should-retry")) == (429, header)


@pytest.mark.parametrize(("kind", "charges"), [("error_before", 0), ("error_after", 1)])
async def test_a_500_is_replayed_whether_or_not_it_had_an_effect(platform: Platform, kind: str, charges: int) -> None:
    await platform.control("POST", "/faults", {"kind": kind})
    for _ in range(2):
        failed = await platform.raw("POST", "/v1/payment_intents", BODY, **{"Idempotency-Key": "k"})
        assert (failed.status_code, failed.json()["error"]["type"]) == (500, "api_error")
    assert await _charges(platform) == charges
    await platform.control("POST", "/faults", {"kind": kind})
    with pytest.raises(APIError):
        await platform.paid()


@pytest.mark.parametrize(("kind", "charges"), [("drop_before", 0), ("drop_after", 1)])
async def test_a_dropped_connection_leaves_the_outcome_unknown(platform: Platform, kind: str, charges: int) -> None:
    await platform.control("POST", "/faults", {"kind": kind})
    with pytest.raises(APIConnectionError):
        await platform.paid()
    assert await _charges(platform) == charges


async def test_a_retry_with_the_same_key_finds_the_lost_answer(platform: Platform) -> None:
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


async def test_a_key_is_refused_while_its_request_runs(platform: Platform) -> None:
    await platform.control("POST", "/faults", {"kind": "stall"})
    async with shopping(platform.url) as other:
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


async def test_faults_come_by_rate_and_end_when_cleared(platform: Platform) -> None:
    order = {"kind": "rate_limit", "times": None, "rate_percent": 50, "seed": 7, "method": "GET"}
    await platform.control("POST", "/faults", order)
    statuses = {(await platform.raw("GET", "/v1/balance")).status_code for _ in range(40)}
    assert statuses == {200, 429}
    await platform.control("DELETE", "/faults")
    statuses = {(await platform.raw("GET", "/v1/balance")).status_code for _ in range(10)}
    assert statuses == {200}


async def test_an_order_that_makes_no_sense_is_refused(platform: Platform) -> None:
    refused = await platform.browser.post("/_sandbox/faults", json={"kind": "sabotage"})
    assert refused.status_code == 400
