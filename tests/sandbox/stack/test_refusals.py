"""A local stack never touches real money."""

import pytest

from sandbox.stack.stripe_choice import StackRefusedError, StripeTestMode, stripe_test_mode


def test_without_a_key_the_sandbox_stands_in() -> None:
    assert stripe_test_mode({}) is None
    assert stripe_test_mode({"STRIPE_API_KEY": "", "HOLDFAST_ENV": "development"}) is None


@pytest.mark.parametrize("key", ["sk_test_1", "rk_test_1"])
def test_a_test_key_and_its_webhook_secret_choose_stripe_itself(key: str) -> None:
    chosen = stripe_test_mode({"STRIPE_API_KEY": key, "STRIPE_WEBHOOK_SECRET": "whsec_1"})
    assert chosen == StripeTestMode(key, "whsec_1", "whsec_1")


def test_the_connect_endpoint_may_have_a_secret_of_its_own() -> None:
    names = {"STRIPE_WEBHOOK_SECRET": "whsec_1", "STRIPE_CONNECT_WEBHOOK_SECRET": "whsec_2"}
    assert stripe_test_mode({"STRIPE_API_KEY": "sk_test_1"} | names) == StripeTestMode(
        "sk_test_1", "whsec_1", "whsec_2"
    )


def test_a_test_key_alone_is_refused_with_what_is_missing() -> None:
    with pytest.raises(StackRefusedError, match="STRIPE_WEBHOOK_SECRET"):
        stripe_test_mode({"STRIPE_API_KEY": "sk_test_1"})


@pytest.mark.parametrize("key", ["sk_live_1", "rk_live_1", "pk_test_1", "something"])
def test_any_other_key_is_refused(key: str) -> None:
    with pytest.raises(StackRefusedError, match="not a test key"):
        stripe_test_mode({"STRIPE_API_KEY": key, "STRIPE_WEBHOOK_SECRET": "whsec_1"})


@pytest.mark.parametrize("environment", ["production", "PRODUCTION"])
def test_production_is_refused(environment: str) -> None:
    with pytest.raises(StackRefusedError, match="HOLDFAST_ENV"):
        stripe_test_mode({"HOLDFAST_ENV": environment})
