"""A local stack never uses Stripe's live mode."""

import pytest

from sandbox.stack.stripe_choice import StackRefusedError, StripeTestMode, stripe_test_mode


def test_stack_without_a_key_uses_the_sandbox() -> None:
    assert stripe_test_mode({}) is None
    assert stripe_test_mode({"STRIPE_API_KEY": "", "HOLDFAST_ENV": "development"}) is None


@pytest.mark.parametrize("key", ["sk_test_1", "rk_test_1"])
def test_stack_with_a_test_key_and_webhook_secret_uses_test_mode(key: str) -> None:
    chosen = stripe_test_mode({"STRIPE_API_KEY": key, "STRIPE_WEBHOOK_SECRET": "whsec_1"})
    assert chosen == StripeTestMode(key, "whsec_1", "whsec_1")


def test_connect_endpoint_can_have_another_secret() -> None:
    names = {"STRIPE_WEBHOOK_SECRET": "whsec_1", "STRIPE_CONNECT_WEBHOOK_SECRET": "whsec_2"}
    assert stripe_test_mode({"STRIPE_API_KEY": "sk_test_1"} | names) == StripeTestMode(
        "sk_test_1", "whsec_1", "whsec_2"
    )


def test_test_key_without_a_webhook_secret_is_refused() -> None:
    with pytest.raises(StackRefusedError, match="STRIPE_WEBHOOK_SECRET"):
        stripe_test_mode({"STRIPE_API_KEY": "sk_test_1"})


@pytest.mark.parametrize("key", ["sk_live_1", "rk_live_1", "pk_test_1", "something"])
def test_other_keys_are_refused(key: str) -> None:
    with pytest.raises(StackRefusedError, match="not a test key"):
        stripe_test_mode({"STRIPE_API_KEY": key, "STRIPE_WEBHOOK_SECRET": "whsec_1"})


@pytest.mark.parametrize("environment", ["production", "PRODUCTION"])
def test_production_is_refused(environment: str) -> None:
    with pytest.raises(StackRefusedError, match="HOLDFAST_ENV"):
        stripe_test_mode({"HOLDFAST_ENV": environment})
