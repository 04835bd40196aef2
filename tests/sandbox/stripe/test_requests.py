"""What all requests share: API keys, expansion, pagination, metadata and validation."""

import base64

import pytest
import stripe
from stripe import Charge, InvalidRequestError, PaymentIntent

from tests.sandbox.stripe.conftest import platform_at, serving
from tests.sandbox.stripe.platform import API_KEY, Platform


@pytest.mark.parametrize(
    "authorization", ["", "Bearer sk_live_1", "Bearer rk_live_1", "Bearer pk_test_1", "Basic %%%", "Digest x"]
)
async def test_request_requires_a_test_key(platform: Platform, authorization: str) -> None:
    refused = await platform.raw("GET", "/v1/balance", Authorization=authorization)
    assert (refused.status_code, refused.json()["error"]["type"]) == (401, "invalid_request_error")
    assert "k_live_1" not in refused.text


async def test_a_restricted_key_is_accepted(platform: Platform) -> None:
    accepted = await platform.raw("GET", "/v1/balance", Authorization="Bearer rk_test_sandbox")
    assert accepted.status_code == 200


async def test_key_is_accepted_by_basic_auth(platform: Platform) -> None:
    basic = base64.b64encode(f"{API_KEY}:".encode()).decode()
    accepted = await platform.raw("GET", "/v1/balance", Authorization=f"Basic {basic}")
    assert accepted.status_code == 200


async def test_response_has_request_id_and_version(platform: Platform) -> None:
    response = await platform.raw("GET", "/v1/balance", **{"Stripe-Version": stripe.api_version})
    assert response.headers["request-id"].startswith("req_")
    assert response.headers["stripe-version"] == stripe.api_version
    assert response.json()["livemode"] is False


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/payment_intents", "amount[a]=1&currency=usd"),
        ("POST", "/v1/payment_intents", "amount=1&amount[a]=1&currency=usd"),
        ("POST", "/v1/payment_intents", "[]=1"),
        ("POST", "/v1/payment_intents", "amount=100&currency=usd&metadata=x"),
        ("POST", "/v1/payment_intents", "amount=999999999999&currency=usd"),
        ("POST", "/v1/payment_intents", "amount=-5&currency=usd"),
        ("POST", "/v1/payment_intents", "amount=100&currency=usd&payment_method=pm_none&confirm=true"),
        ("POST", "/v1/refunds", ""),
        ("POST", "/v1/checkout/sessions", "mode=payment"),
        ("POST", "/v1/checkout/sessions", "mode=subscription"),
        ("POST", "/v2/core/accounts", "no json"),
        ("POST", "/v2/core/accounts", "[1]"),
        ("GET", "/v1/payment_intents?limit=0", ""),
        ("GET", "/v1/payment_intents?limit=101", ""),
        ("GET", "/v1/payment_intents?starting_after=pi_none", ""),
        ("GET", "/v1/payment_intents?expand=customer", ""),
        ("GET", "/v1/payment_intents?expand[]=customer", ""),
        ("GET", "/v1/balance?expand[]=a.b.c.d.e", ""),
    ],
)
async def test_invalid_request_is_refused_with_a_message(platform: Platform, method: str, path: str, body: str) -> None:
    refused = await platform.raw(method, path, body)
    error = refused.json()["error"]
    assert (refused.status_code, error["type"]) == (400, "invalid_request_error")
    assert error["message"]


@pytest.mark.parametrize("true", ["true", "True"])
async def test_booleans_are_accepted_as_older_sdks_spell_them(platform: Platform, true: str) -> None:
    body = f"amount=100&currency=usd&payment_method=pm_card_visa&confirm={true}"
    intent = (await platform.raw("POST", "/v1/payment_intents", body)).json()
    assert intent["status"] == "succeeded"


async def test_unmodelled_parameter_is_refused(platform: Platform) -> None:
    with pytest.raises(InvalidRequestError, match="does not model") as refused:
        await platform.checkout(automatic_tax={"enabled": True})
    assert refused.value.param == "automatic_tax"
    with pytest.raises(InvalidRequestError, match="does not model") as nested:
        await platform.hold(payment_method_options={"card": {"capture_method": "manual"}})
    assert nested.value.param == "payment_method_options[card][capture_method]"
    with pytest.raises(InvalidRequestError, match="does not model"):
        await platform.stripe.v1.payouts.list_async({"arrival_date": 1})


async def test_strict_sandbox_refuses_other_api_versions(platform: Platform) -> None:
    refused = await platform.raw("GET", "/v1/balance", **{"Stripe-Version": "2020-08-27"})
    assert (refused.status_code, "2020-08-27" in refused.text) == (400, False)
    with pytest.raises(InvalidRequestError) as endpoint:
        await platform.stripe.v1.webhook_endpoints.create_async(
            {"url": "https://shop.test/hook", "enabled_events": ["*"], "api_version": "2020-08-27"}
        )
    assert endpoint.value.param == "api_version"


async def test_other_api_versions_are_answered_in_the_pinned_shape() -> None:
    async with serving(strict_version=False) as url, platform_at(url) as platform:
        accepted = await platform.raw("GET", "/v1/balance", **{"Stripe-Version": "2025-03-31.basil"})
        assert (accepted.status_code, accepted.headers["stripe-version"]) == (200, stripe.api_version)
        refused = await platform.raw("GET", "/v1/balance", **{"Stripe-Version": "latest"})
        assert refused.status_code == 400
        endpoint = await platform.stripe.v1.webhook_endpoints.create_async(
            {"url": "https://shop.test/hook", "enabled_events": ["*"], "api_version": "2020-08-27"}
        )
        assert endpoint.api_version == "2020-08-27"


async def test_parameter_of_an_older_version_is_taken_under_its_name_there() -> None:
    """As Medusa's plugin for Stripe sends it."""
    body = "amount=1200&currency=usd&payment_method_types[0]=card"
    async with serving(strict_version=False) as url, platform_at(url) as platform:
        older = await platform.raw("POST", "/v1/payment_intents", body, **{"Stripe-Version": "2024-04-10"})
        assert (older.status_code, older.json()["payment_method_types"]) == (200, ["card"])
        pinned = await platform.raw("POST", "/v1/payment_intents", body, **{"Stripe-Version": stripe.api_version})
        assert (pinned.status_code, pinned.json()["error"]["param"]) == (400, "payment_method_types")


async def test_expansion_follows_objects_and_lists(platform: Platform) -> None:
    customer = await platform.stripe.v1.customers.create_async({"email": "ada@student.test"})
    await platform.paid(customer=customer.id)
    page = await platform.stripe.v1.payment_intents.list_async(
        {"customer": customer.id, "expand": ["data.latest_charge.balance_transaction", "data.customer"]}
    )
    [intent] = page.data
    assert isinstance(intent, PaymentIntent)
    assert isinstance(intent.latest_charge, Charge)
    assert not isinstance(intent.latest_charge.balance_transaction, str)
    assert not isinstance(intent.customer, str)


async def test_field_that_an_object_lacks_can_be_expanded(platform: Platform) -> None:
    session = await platform.checkout()
    page = await platform.stripe.v1.checkout.sessions.list_async({"expand": ["data.total_details.breakdown"]})
    assert [listed.id for listed in page.data] == [session.id]
    with pytest.raises(InvalidRequestError):
        await platform.stripe.v1.checkout.sessions.list_async({"expand": ["data.total_details.nothing"]})


async def test_lists_are_paginated_in_both_directions(platform: Platform) -> None:
    created = [(await platform.stripe.v1.customers.create_async({"name": str(number)})).id for number in range(7)]
    page = await platform.stripe.v1.customers.list_async({"limit": 3})
    assert [customer.id async for customer in page.auto_paging_iter()] == created[::-1]
    before = await platform.stripe.v1.customers.list_async({"limit": 2, "ending_before": created[1]})
    assert ([customer.id for customer in before.data], before.has_more) == ([created[3], created[2]], True)


async def test_metadata_is_merged_and_unset(platform: Platform) -> None:
    customer = await platform.stripe.v1.customers.create_async({"metadata": {"a": "1", "b": "2"}})
    merged = await platform.stripe.v1.customers.update_async(customer.id, {"metadata": {"b": "", "c": "3"}})
    assert merged.metadata is not None
    assert merged.metadata.to_dict() == {"a": "1", "c": "3"}
    emptied = await platform.stripe.v1.customers.update_async(customer.id, {"metadata": ""})
    assert emptied.metadata is not None
    assert emptied.metadata.to_dict() == {}


@pytest.mark.parametrize(
    ("currency", "amount", "fee"),
    [("jpy", 1_000, 59), ("kwd", 5_000, 175), ("usd", 50, 31), ("eur", 1_050, 60), ("isk", 50_000, 1_480)],
)
async def test_stripe_fee_is_rounded_to_minor_units(platform: Platform, currency: str, amount: int, fee: int) -> None:
    await platform.paid(amount, currency)
    assert await platform.balance_transactions() == [("charge", amount, fee)]


@pytest.mark.parametrize(("currency", "amount"), [("kwd", 5_001), ("isk", 50_050), ("usd", 49), ("jpy", 49)])
async def test_amount_that_is_invalid_in_its_currency_is_refused(
    platform: Platform, currency: str, amount: int
) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        await platform.paid(amount, currency)
    assert refused.value.param == "amount"


@pytest.mark.parametrize(("kind", "param"), [("charges", "id"), ("customers", "id"), ("payment_intents", "intent")])
async def test_unknown_id_names_its_parameter(platform: Platform, kind: str, param: str) -> None:
    missing = await platform.raw("GET", f"/v1/{kind}/of_nobody")
    assert missing.status_code == 404
    assert missing.json()["error"]["param"] == param


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/v1/customers", "email"),
        ("/v1/accounts", "email"),
        ("/v1/payment_intents", "receipt_email"),
        ("/v1/checkout/sessions", "customer_email"),
    ],
)
async def test_address_that_is_none_is_refused(platform: Platform, path: str, param: str) -> None:
    body = {
        "/v1/payment_intents": "amount=5000&currency=usd&",
        "/v1/checkout/sessions": "mode=payment&success_url=https%3A%2F%2Fshop.test&",
    }.get(path, "")
    refused = await platform.raw("POST", path, f"{body}{param}=nobody")
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (400, "email_invalid", param)
    # An empty value is none at all.
    assert (await platform.raw("POST", "/v1/customers", "email=")).status_code == 200


@pytest.mark.parametrize(
    ("metadata", "param"),
    [
        ({f"key{number}": "x" for number in range(51)}, "metadata"),
        ({"k" * 41: "x"}, "metadata"),
        ({"key": "x" * 501}, "metadata[key]"),
    ],
)
async def test_metadata_beyond_the_limits_is_refused(platform: Platform, metadata: dict[str, str], param: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        await platform.stripe.v2.core.accounts.create_async({"metadata": metadata})
    assert refused.value.param == param
    with pytest.raises(InvalidRequestError) as nested:
        await platform.checkout(payment_intent_data={"metadata": metadata} | {"capture_method": "manual"})
    assert nested.value.param == param.replace("metadata", "payment_intent_data[metadata]", 1)


async def test_metadata_at_the_limits_is_accepted_until_an_update_exceeds_them(platform: Platform) -> None:
    most = {f"key{number}": "x" for number in range(49)} | {"k" * 40: "v" * 500}
    customer = await platform.stripe.v1.customers.create_async({"metadata": most})
    with pytest.raises(InvalidRequestError) as refused:
        await platform.stripe.v1.customers.update_async(customer.id, {"metadata": {"another": "x"}})
    assert refused.value.param == "metadata"
    customer = await platform.stripe.v1.customers.retrieve_async(customer.id)
    assert customer.metadata is not None
    assert customer.metadata.to_dict() == most


@pytest.mark.parametrize("suffix", ["a" * 23, "12345", "GREEK*", "ΕΛΛΗΝΙΚΑ"])
async def test_statement_descriptor_beyond_the_limits_is_refused(platform: Platform, suffix: str) -> None:
    assert (await platform.hold(statement_descriptor_suffix="GREEK 101")).statement_descriptor_suffix == "GREEK 101"
    with pytest.raises(InvalidRequestError) as refused:
        await platform.hold(statement_descriptor_suffix=suffix)
    assert refused.value.param == "statement_descriptor_suffix"
    with pytest.raises(InvalidRequestError) as nested:
        await platform.checkout(payment_intent_data={"statement_descriptor_suffix": suffix})
    assert nested.value.param == "payment_intent_data[statement_descriptor_suffix]"
