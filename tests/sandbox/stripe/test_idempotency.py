"""Idempotency keys: what is replayed, refused and forgotten."""

import pytest
from stripe import CardError, IdempotencyError, InvalidRequestError

from tests.sandbox.stripe.platform import Platform

BODY = "amount=5000&currency=usd&payment_method=pm_card_visa&confirm=true"


async def test_same_key_and_body_replays_the_response(platform: Platform) -> None:
    first = await platform.raw("POST", "/v1/payment_intents", BODY, **{"Idempotency-Key": "k"})
    again = await platform.raw("POST", "/v1/payment_intents", BODY, **{"Idempotency-Key": "k"})
    assert again.json() == first.json()
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    assert again.headers["original-request"] == first.headers["request-id"]
    assert len(await platform.balance_transactions()) == 1


async def test_response_to_a_key_that_began_says_that_a_retry_is_futile(platform: Platform) -> None:
    """At the first time and in a replay, for a success, a decline, a refused operation and a server error."""
    requests = [
        ("/v1/payment_intents", BODY, 200),
        ("/v1/payment_intents", BODY.replace("pm_card_visa", "pm_card_chargeDeclined"), 402),
        ("/v1/payment_intents/pi_of_nobody/cancel", "", 404),
        ("/v1/customers", "", 500),
    ]
    await platform.control("POST", "/faults", {"kind": "error_before", "path": "/v1/customers"})
    for number, (path, body, status) in enumerate(requests):
        key = {"Idempotency-Key": f"k{number}"}
        first, again = [await platform.raw("POST", path, body, **key) for _ in range(2)]
        assert (first.status_code, again.status_code) == (status, status)
        for answer in (first, again):
            assert answer.headers["stripe-should-retry"] == "false"
            assert answer.headers["original-request"] == first.headers["request-id"]


@pytest.mark.parametrize(
    "body", ["amount=x&currency=usd", "amount=500&currency=usd&colour=red", "amount=0&currency=usd"]
)
async def test_response_to_wrong_parameters_names_the_request_only(platform: Platform, body: str) -> None:
    wrong = await platform.raw("POST", "/v1/payment_intents", body, **{"Idempotency-Key": "k"})
    assert wrong.status_code == 400
    assert wrong.headers["original-request"] == wrong.headers["request-id"]
    assert "stripe-should-retry" not in wrong.headers


async def test_request_without_a_key_has_no_headers_about_one(platform: Platform) -> None:
    for method in ("GET", "POST"):
        answer = await platform.raw(method, "/v1/customers")
        assert not {"original-request", "stripe-should-retry", "idempotency-key"} & set(answer.headers)


async def test_same_key_with_another_body_is_refused(platform: Platform) -> None:
    await platform.stripe.v1.customers.create_async({"email": "a@b.test"}, {"idempotency_key": "k"})
    with pytest.raises(IdempotencyError) as refused:
        await platform.stripe.v1.customers.create_async({"email": "c@d.test"}, {"idempotency_key": "k"})
    assert refused.value.http_status == 400


async def test_decline_is_replayed_with_one_charge(platform: Platform) -> None:
    for _ in range(2):
        with pytest.raises(CardError):
            await platform.stripe.v1.payment_intents.create_async(
                {
                    "amount": 5_000,
                    "currency": "usd",
                    "payment_method": "pm_card_chargeDeclined",
                    "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
                    "confirm": True,
                },
                {"idempotency_key": "k"},
            )
    assert len((await platform.stripe.v1.charges.list_async()).data) == 1


async def test_error_of_the_operation_is_replayed_after_the_state_changed(platform: Platform) -> None:
    intent = await platform.stripe.v1.payment_intents.create_async({"amount": 5_000, "currency": "usd"})
    for _ in range(2):
        with pytest.raises(InvalidRequestError) as refused:
            await platform.stripe.v1.payment_intents.capture_async(intent.id, options={"idempotency_key": "k"})
        assert refused.value.code == "payment_intent_unexpected_state"
        await platform.stripe.v1.payment_intents.cancel_async(intent.id, options={"idempotency_key": "c"})


async def test_validation_error_leaves_the_key_unused(platform: Platform) -> None:
    wrong = await platform.raw("POST", "/v1/payment_intents", "amount=x&currency=usd", **{"Idempotency-Key": "k"})
    assert wrong.status_code == 400
    right = await platform.raw("POST", "/v1/payment_intents", BODY, **{"Idempotency-Key": "k"})
    assert right.status_code == 200


async def test_key_is_scoped_to_its_account(platform: Platform) -> None:
    account = await platform.account()
    for owner in (None, account.id):
        await platform.stripe.v1.customers.create_async(
            {"email": "a@b.test"}, {"idempotency_key": "k", "stripe_account": owner}
        )
    assert len((await platform.stripe.v1.customers.list_async()).data) == 1


async def test_key_expires_after_a_day(platform: Platform) -> None:
    await platform.raw("POST", "/v1/payment_intents", BODY, **{"Idempotency-Key": "k"})
    await platform.advance(24 * 3600)
    again = await platform.raw("POST", "/v1/payment_intents", BODY, **{"Idempotency-Key": "k"})
    assert "idempotent-replayed" not in again.headers
    assert len(await platform.balance_transactions()) == 2


async def test_key_has_at_most_255_characters(platform: Platform) -> None:
    longest = await platform.raw("POST", "/v1/customers", "", **{"Idempotency-Key": "k" * 255})
    too_long = await platform.raw("POST", "/v1/customers", "", **{"Idempotency-Key": "k" * 256})
    assert (longest.status_code, too_long.status_code) == (200, 400)
