"""Webhook endpoints that the sandbox has from its start on, with secrets that the receiver has already.

Stripe chooses the secret of an endpoint. In containers, the receiver's settings are read before the sandbox runs.
"""

from collections.abc import Mapping
from typing import Final

from sandbox.stripe import thin_events, webhook_endpoints
from sandbox.stripe.context import Call, Context
from sandbox.stripe.events import DESTINATION, ENDPOINT
from sandbox.stripe.ids import PLATFORM
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.store import Record

_WEBHOOK_PATH: Final = "/v1/stripe/webhook"
_CONNECT_WEBHOOK_PATH: Final = "/v1/stripe/connect-webhook"


def subscribe(context: Context, api_url: str, environ: Mapping[str, str]) -> None:
    """Subscribe the API at this URL to all events. Repeating it after a restart changes nothing but the secrets.

    Raises `KeyError` for a secret that is not in the environment.
    """
    secret, connect_secret = (
        environ[name].partition(",")[0].strip() for name in ("STRIPE_WEBHOOK_SECRET", "STRIPE_CONNECT_WEBHOOK_SECRET")
    )
    connect_url = api_url + _CONNECT_WEBHOOK_PATH
    with context.store.transaction():
        _endpoint(context, api_url + _WEBHOOK_PATH, secret, connect=False)
        _endpoint(context, connect_url, connect_secret, connect=True)
        _destination(context, connect_url, connect_secret)


def _endpoint(context: Context, url: str, secret: str, *, connect: bool) -> None:
    def is_the_one(record: Record) -> bool:
        return bool(record.body["url"] == url and record.hidden["connect"] == connect)

    if not context.store.newest_first(ENDPOINT, is_the_one):
        webhook_endpoints.create(_call(context, {"url": url, "enabled_events": ["*"], "connect": connect}))
    _set_secret(context, context.store.newest_first(ENDPOINT, is_the_one)[0], secret)


def _destination(context: Context, url: str, secret: str) -> None:
    def is_the_one(record: Record) -> bool:
        return bool(record.hidden["url"] == url)

    if not context.store.newest_first(DESTINATION, is_the_one):
        events = {"event_payload": "thin", "enabled_events": [*thin_events.TYPES]}
        endpoint = {"name": "Accounts", "type": "webhook_endpoint", "webhook_endpoint": {"url": url}}
        thin_events.create_destination(_call(context, endpoint | events))
    _set_secret(context, context.store.newest_first(DESTINATION, is_the_one)[0], secret)


def _set_secret(context: Context, record: Record, secret: str) -> None:
    record.hidden["secret"] = secret
    context.store.save(record)


def _call(context: Context, params: JsonObject) -> Call:
    return Call(context, PLATFORM, params, {}, base_url="")
