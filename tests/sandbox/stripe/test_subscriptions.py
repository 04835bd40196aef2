"""Webhook endpoints that the sandbox has from its start on."""

from pathlib import Path

from sandbox.stripe import thin_events
from sandbox.stripe.context import Context
from sandbox.stripe.events import DESTINATION, ENDPOINT
from sandbox.stripe.store import Record
from sandbox.stripe.subscriptions import subscribe
from sandbox.stripe.views import VIEWS


def _subscribed(state: Path, secret: str) -> list[Record]:
    context = Context(VIEWS, state)
    environment = {"STRIPE_WEBHOOK_SECRET": secret, "STRIPE_CONNECT_WEBHOOK_SECRET": "whsec_c, whsec_thin"}
    subscribe(context, "http://api:8000", environment)
    return [*context.store.scan(ENDPOINT), *context.store.scan(DESTINATION)]


def test_api_is_subscribed_with_the_secrets_of_its_environment(tmp_path: Path) -> None:
    platform, connect, thin = _subscribed(tmp_path / "state", "whsec_p")
    connect_url = "http://api:8000/v1/stripe/connect-webhook"
    assert (platform.body["url"], platform.hidden) == (
        "http://api:8000/v1/stripe/webhook",
        {"secret": "whsec_p", "connect": False},
    )
    assert (connect.body["url"], connect.hidden) == (connect_url, {"secret": "whsec_c", "connect": True})
    assert thin.hidden == {"secret": "whsec_c", "url": connect_url}
    assert thin.body["enabled_events"] == [*thin_events.TYPES]


def test_a_restart_changes_the_secrets_only(tmp_path: Path) -> None:
    before = _subscribed(tmp_path / "state", "whsec_old")
    after = _subscribed(tmp_path / "state", "whsec_new")
    assert [(record.id, record.body) for record in after] == [(record.id, record.body) for record in before]
    assert after[0].hidden == {"secret": "whsec_new", "connect": False}
