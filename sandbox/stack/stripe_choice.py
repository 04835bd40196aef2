"""Selects the Stripe of a local stack: the sandbox, or Stripe's test mode. Never live mode."""

from collections.abc import Mapping
from dataclasses import dataclass


class StackRefusedError(RuntimeError):
    """A local stack must not run in this environment. The message says what to change."""


@dataclass(frozen=True)
class StripeTestMode:
    """A test key of Stripe, and the secrets of its webhook endpoints."""

    key: str
    webhook_secret: str
    connect_webhook_secret: str


def stripe_test_mode(environ: Mapping[str, str]) -> StripeTestMode | None:
    """Stripe's test mode if `STRIPE_API_KEY` is set, otherwise None for the sandbox.

    Raises:
        StackRefusedError: `HOLDFAST_ENV=production`, a key that is not a test key, or no webhook secret.
    """
    if environ.get("HOLDFAST_ENV", "").lower() == "production":
        raise StackRefusedError(
            "HOLDFAST_ENV=production is set, and this starts a throwaway stack. Unset it; how to run in "
            "production is in docs/operations/self-hosting.md."
        )
    key = environ.get("STRIPE_API_KEY")
    if not key:
        return None
    if not key.startswith(("sk_test_", "rk_test_")):
        raise StackRefusedError(
            "STRIPE_API_KEY is not a test key (sk_test_… or rk_test_…), and this stack moves money at will. "
            "Unset it to use the sandbox."
        )
    webhook_secret = environ.get("STRIPE_WEBHOOK_SECRET")
    if not webhook_secret:
        raise StackRefusedError(
            "STRIPE_API_KEY is set, so this stack talks to Stripe, which must reach its webhook. Set "
            "STRIPE_WEBHOOK_SECRET too: `stripe listen` prints one (whsec_…). Or unset STRIPE_API_KEY to use "
            "the sandbox."
        )
    # `stripe listen` signs the events of both endpoints with one secret.
    connect_webhook_secret = environ.get("STRIPE_CONNECT_WEBHOOK_SECRET") or webhook_secret
    return StripeTestMode(key, webhook_secret, connect_webhook_secret)
