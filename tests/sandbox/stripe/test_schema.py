"""The shapes derived from stripe-python: what they accept and reject, and how they differ from the pin."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import stripe
from hypothesis import given, settings
from hypothesis import strategies as st
from stripe.params import CustomerCreateParams, PaymentIntentCaptureParams, RefundCreateParams
from stripe.params.checkout import SessionCreateParams

from sandbox.stripe import log_check
from sandbox.stripe.errors import StripeError
from sandbox.stripe.form import decode
from sandbox.stripe.json_values import copied
from sandbox.stripe.schema import pin
from sandbox.stripe.schema.answers import response_problems
from sandbox.stripe.schema.derive import object_shape, request_shape
from sandbox.stripe.schema.requests import coerced
from sandbox.stripe.schema.shapes import NULL, TEXT, Choice, Either, Scalar, Shape
from tests.sandbox.stripe.platform import API_KEY, Json, Platform

# Stripe's fixtures are older than the SDK and lack one field.
FIXTURE_EXCEPTIONS = {"dispute": ["dispute.evidence_details.submission_method: missing"]}


@pytest.mark.parametrize(
    ("params", "body", "code", "param"),
    [
        (PaymentIntentCaptureParams, "amount=100", "parameter_unknown", "amount"),
        (PaymentIntentCaptureParams, "amount_to_capture=ten", "parameter_invalid_integer", "amount_to_capture"),
        (PaymentIntentCaptureParams, "amount_to_capture=10.5", "parameter_invalid_integer", "amount_to_capture"),
        (PaymentIntentCaptureParams, "amount_to_capture=", "parameter_invalid_empty", "amount_to_capture"),
        (PaymentIntentCaptureParams, "final_capture=perhaps", None, "final_capture"),
        (
            PaymentIntentCaptureParams,
            "transfer_data[destination]=acct",
            "parameter_unknown",
            "transfer_data[destination]",
        ),
        (RefundCreateParams, "reason=whim", None, "reason"),
        (RefundCreateParams, "metadata=text", None, "metadata"),
        (SessionCreateParams, "mode=gift", None, "mode"),
        (SessionCreateParams, "line_items[0][quantity]=x", "parameter_invalid_integer", "line_items[0][quantity]"),
        (
            SessionCreateParams,
            "line_items[0][price_data][unit_amount]=1",
            "parameter_missing",
            "line_items[0][price_data][currency]",
        ),
        (SessionCreateParams, "line_items=x", None, "line_items"),
    ],
)
def test_invalid_parameter_is_named(params: type, body: str, code: str | None, param: str) -> None:
    with pytest.raises(StripeError) as refused:
        coerced(request_shape(params), decode(body))
    error = refused.value
    assert (error.status, error.error["type"], error.error.get("code"), error.error["param"]) == (
        400,
        "invalid_request_error",
        code,
        param,
    )
    assert not error.began


def test_valid_parameters_are_typed() -> None:
    body = (
        "amount_to_capture=5000&application_fee_amount=0&final_capture=true&expand[0]=latest_charge&expand[]=customer"
        "&metadata[booking]=1"
    )
    assert coerced(request_shape(PaymentIntentCaptureParams), decode(body)) == {
        "amount_to_capture": 5_000,
        "application_fee_amount": 0,
        "final_capture": True,
        "expand": ["latest_charge", "customer"],
        "metadata": {"booking": "1"},
    }


def test_empty_value_unsets_a_parameter() -> None:
    shape = request_shape(CustomerCreateParams)
    assert coerced(shape, decode("metadata=&address=")) == {"metadata": "", "address": ""}


async def test_invalid_request_returns_stripes_error(platform: Platform) -> None:
    refused = await platform.raw("POST", "/v1/payment_intents", "amount=100&currency=usd&capture=manual")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "parameter_unknown")
    assert refused.json()["error"]["param"] == "capture"


@pytest.fixture(scope="module")
def fixtures() -> dict[str, Any]:
    path = os.environ.get("STRIPE_FIXTURES")
    if not path or not Path(path).is_file():
        pytest.skip("STRIPE_FIXTURES does not name a copy of Stripe's fixtures3.json")
    resources: dict[str, Any] = json.loads(Path(path).read_text())["resources"]
    return resources


def test_stripe_fixtures_are_valid(fixtures: dict[str, Any]) -> None:
    ours = [name for name in pin.RETURNED if name in fixtures]
    assert len(ours) >= 20
    assert {name: found for name in ours if (found := response_problems(fixtures[name]))} == FIXTURE_EXCEPTIONS


async def test_mutated_response_is_invalid(platform: Platform) -> None:
    """Set each field of each kind of object to a value of another type, or remove it."""
    for kind, response in (await _responses(platform)).items():
        shape = object_shape(kind)
        assert shape is not None
        assert response_problems(response) == []
        for name in response:
            field = shape.fields[name]
            wrong = copied(response)
            wrong[name] = _of_another_type(field.shape)
            assert response_problems(wrong), f"{kind}.{name} = {wrong[name]!r} was accepted"
            if field.required and name != "object":
                del wrong[name]
                assert response_problems(wrong), f"{kind} without {name} was accepted"
        assert response_problems(response | {"of_the_sandboxs_making": 1})


async def _responses(platform: Platform) -> dict[str, Json]:
    """One object of each of many kinds, as the sandbox returns it."""
    account = await platform.account()
    intent = await platform.paid(
        payment_method="pm_card_createDispute",
        application_fee_amount=2_000,
        transfer_data={"destination": account.id},
    )
    await platform.checkout()
    await platform.advance(3 * 86_400)
    paths = [f"/v1/accounts/{account.id}", f"/v1/payment_intents/{intent.id}"]
    objects = [(await platform.raw("GET", path)).json() for path in paths]
    lists = (
        "charges",
        "transfers",
        "application_fees",
        "balance_transactions",
        "disputes",
        "checkout/sessions",
        "events",
    )
    for path in lists:
        objects += (await platform.raw("GET", f"/v1/{path}?limit=1")).json()["data"]
    payouts = await platform.raw("GET", "/v1/payouts", **{"Stripe-Account": account.id})
    refund = await platform.raw("POST", "/v1/refunds", f"payment_intent={(await platform.paid()).id}")
    objects += [*payouts.json()["data"], refund.json()]
    return {item["object"]: item for item in objects}


def _of_another_type(shape: Shape) -> object:
    options = shape.options if isinstance(shape, Either) else (shape,)
    takes_text = any(option == TEXT or isinstance(option, Choice) for option in options)
    return 1.5 if takes_text or NULL not in options else "of another type"


NON_INTEGERS = st.one_of(st.text(), st.floats(), st.booleans(), st.none(), st.lists(st.integers()))


@settings(max_examples=200, deadline=None)
@given(value=NON_INTEGERS)
def test_amount_must_be_an_integer(value: object) -> None:
    balance = {"object": "balance", "available": [], "livemode": False, "pending": []}
    assert response_problems(balance) == []
    assert response_problems(balance | {"pending": [{"amount": value, "currency": "usd"}]})


@settings(max_examples=200, deadline=None)
@given(name=st.text(alphabet="abcdefghijklmnopqrstuvwxyz_", min_size=1))
def test_unknown_parameter_is_refused(name: str) -> None:
    shape = request_shape(PaymentIntentCaptureParams)
    if name in shape.fields:
        return
    with pytest.raises(StripeError, match="Received unknown parameter"):
        coerced(shape, {name: "1"})


def test_all_shapes_can_be_derived() -> None:
    """Derive all fields of all requests and responses, which raises for an unknown kind of annotation."""
    assert len(pin.described()) > 500
    assert Scalar("anything") not in [field.shape for field in request_shape(SessionCreateParams).fields.values()]


def test_shapes_are_those_that_are_pinned() -> None:
    changed = pin.differences(pin.pinned())
    assert not changed, "stripe-python's shapes changed; see sandbox/stripe/schema/pin.py:\n" + "\n".join(changed)


def test_changed_shape_is_named() -> None:
    older = [line for line in pin.pinned() if not line.startswith(("version", "refund.status?"))]
    older += ["version 2020-08-27", "refund.colour text"]
    assert pin.differences(older) == [
        "- refund.colour text",
        "- version 2020-08-27",
        "+ refund.status? null or text",
        f"+ version {stripe.api_version}",
    ]


async def test_request_log_is_checked(platform: Platform, tmp_path: Path) -> None:
    await platform.hold()
    await platform.raw("GET", "/v1/payment_intents?limit=3")
    log = tmp_path / "requests.jsonl"
    assert log_check.problems_in(log) == []
    assert API_KEY not in log.read_text()
    await platform.raw("POST", "/v1/customers", "surname=Lovelace")
    [problem] = log_check.problems_in(log)
    assert problem == "line 3, POST /v1/customers: Received unknown parameter: surname"
    assert [log_check.main([str(log)]), log_check.main([])] == [1, 2]
