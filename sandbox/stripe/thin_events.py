"""Thin events about accounts, and the event destinations that receive them.

A thin event names an account and says what changed, without its state. It is the platform's event, not the account's.
Sources: API reference, "v2 Events" and "v2 Event Destinations"; docs "Event destinations".
"""

from datetime import UTC, datetime
from urllib.parse import urlsplit

from sandbox.stripe.context import Call, Context
from sandbox.stripe.errors import invalid
from sandbox.stripe.events import DESTINATION, THIN
from sandbox.stripe.ids import new_id
from sandbox.stripe.json_values import JsonObject, merged_metadata
from sandbox.stripe.store import Record

_REQUIREMENTS = "v2.core.account[requirements].updated"
_CAPABILITY = "v2.core.account[configuration.recipient].capability_status_updated"
_CLOSED = "v2.core.account.closed"
TYPES = (_REQUIREMENTS, _CAPABILITY, _CLOSED)
"""All that the sandbox emits."""
_INCLUDABLE = {"webhook_endpoint.signing_secret", "webhook_endpoint.url"}


def account_changed(context: Context, account: Record, before: JsonObject) -> None:
    """Emit what has changed since `before`, an earlier body of the account."""
    after = account.body
    if after["requirements"] != before["requirements"]:
        _emit(context, account, _REQUIREMENTS)
    if after["capabilities"].get("transfers") != before["capabilities"].get("transfers"):
        _emit(context, account, _CAPABILITY)


def account_closed(context: Context, account: Record) -> None:
    _emit(context, account, _CLOSED)


def create_destination(call: Call) -> JsonObject:
    params = call.params
    if (params["type"], params["event_payload"]) != ("webhook_endpoint", "thin"):
        raise invalid("The sandbox models event destinations for thin events by webhook only.", param="type")
    include = set(params.get("include", []))
    if unknown := include - _INCLUDABLE:
        raise invalid(f"The sandbox does not model include={sorted(unknown)[0]}.", param="include")
    url = (params.get("webhook_endpoint") or {}).get("url", "")
    if urlsplit(url).scheme not in ("http", "https"):
        raise invalid("An explicit scheme (such as https) must be provided.", param="webhook_endpoint.url")
    now, secret = timestamp(call.context.now()), new_id("whsec", 32)
    body: JsonObject = {
        "id": new_id("ed_test", 24),
        "object": DESTINATION,
        "amazon_eventbridge": None,
        "azure_event_grid": None,
        "created": now,
        "description": params.get("description", ""),
        "enabled_events": params["enabled_events"],
        "event_payload": "thin",
        "events_from": params.get("events_from", ["@self"]),
        "livemode": False,
        "metadata": merged_metadata(None, params.get("metadata")),
        "name": params["name"],
        "snapshot_api_version": None,
        "status": "enabled",
        "status_details": None,
        "type": "webhook_endpoint",
        "updated": now,
        "webhook_endpoint": None,
    }
    call.context.store.put(
        DESTINATION, body["id"], owner=call.account, body=body, hidden={"secret": secret, "url": url}
    )
    shown = {
        "signing_secret": secret if "webhook_endpoint.signing_secret" in include else None,
        "url": url if "webhook_endpoint.url" in include else None,
    }
    return body | {"webhook_endpoint": shown}


def retrieve(call: Call) -> JsonObject:
    return call.from_path(THIN, "id").body


def list_all(call: Call) -> JsonObject:
    """All matching events, newest first, on a single page."""
    about, types = call.params.get("object_id"), call.params.get("types")
    since = (call.params.get("created") or {}).get("gte")

    def matches(event: Record) -> bool:
        body = event.body
        return (
            event.owner == call.account
            and about in (None, body["related_object"]["id"])
            and (types is None or body["type"] in types)
            and (since is None or datetime.fromisoformat(body["created"]) >= datetime.fromisoformat(since))
        )

    found = call.context.store.newest_first(THIN, matches)
    return {"data": [event.body for event in found], "next_page_url": None, "previous_page_url": None}


def timestamp(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _emit(context: Context, account: Record, type: str) -> None:
    body: JsonObject = {
        "id": new_id("evt_test"),
        "object": THIN,
        "changes": None,
        "context": None,
        "created": timestamp(context.now()),
        "livemode": False,
        "reason": None,
        "related_object": {"id": account.id, "type": "v2.core.account", "url": f"/v2/core/accounts/{account.id}"},
        "snapshot_event": None,
        "type": type,
    }
    context.store.put(THIN, body["id"], owner=account.owner, body=body)
    for destination in context.store.newest_first(DESTINATION, lambda each: type in each.body["enabled_events"]):
        context.events.enqueue(str(body["id"]), destination.id)
