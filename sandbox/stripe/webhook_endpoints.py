"""Webhook endpoints (API reference, "Webhook endpoints")."""

from urllib.parse import urlsplit

from sandbox.stripe.context import Call
from sandbox.stripe.errors import invalid
from sandbox.stripe.events import ENDPOINT as KIND
from sandbox.stripe.ids import new_id
from sandbox.stripe.json_values import JsonObject, merged_metadata
from sandbox.stripe.lists import listed
from sandbox.stripe.schema.derive import API_VERSION


def create(call: Call) -> JsonObject:
    """Create an endpoint. Only this response has its secret.

    Its events say the endpoint's `api_version`, because SDKs look at it, and have the shape of the pinned version.
    """
    params = call.params
    _check_url(params["url"])
    if call.context.strict_version and params.get("api_version") not in (None, API_VERSION):
        raise invalid(f"The sandbox sends events of version {API_VERSION} only.", param="api_version")
    body: JsonObject = {
        "id": new_id("we"),
        "object": KIND,
        "api_version": params.get("api_version"),
        "application": None,
        "created": call.context.now(),
        "description": params.get("description") or None,
        "enabled_events": params["enabled_events"],
        "livemode": False,
        "metadata": merged_metadata(None, params.get("metadata")),
        "status": "enabled",
        "url": params["url"],
    }
    hidden = {"secret": new_id("whsec", 32), "connect": params.get("connect", False)}
    record = call.context.store.put(KIND, body["id"], owner=call.account, body=body, hidden=hidden)
    return call.context.view(record) | {"secret": hidden["secret"]}


def retrieve(call: Call) -> JsonObject:
    return call.context.view(call.from_path(KIND, "webhook_endpoint"))


def update(call: Call) -> JsonObject:
    record, params = call.from_path(KIND, "webhook_endpoint"), call.params
    if "url" in params:
        _check_url(params["url"])
    record.body |= call.pick("url", "enabled_events", "description")
    if "disabled" in params:
        record.body["status"] = "disabled" if params["disabled"] else "enabled"
    record.body["metadata"] = merged_metadata(record.body["metadata"], params.get("metadata"))
    return call.context.view(call.context.store.save(record))


def delete(call: Call) -> JsonObject:
    record = call.from_path(KIND, "webhook_endpoint")
    call.context.store.remove(KIND, record.id)
    return {"id": record.id, "object": KIND, "deleted": True}


def list_all(call: Call) -> JsonObject:
    return listed(call, KIND, "/v1/webhook_endpoints")


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise invalid(
            "Invalid URL: An explicit scheme (such as https) must be provided.", code="url_invalid", param="url"
        )
