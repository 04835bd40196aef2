"""Events as API objects (API reference, "Events")."""

import fnmatch

from sandbox.stripe.context import Call, Context
from sandbox.stripe.events import KIND
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.lists import listed
from sandbox.stripe.store import Record


def retrieve(call: Call) -> JsonObject:
    return call.context.view(call.from_path(KIND, "id"))


def list_all(call: Call) -> JsonObject:
    """`type` may end with a wildcard, such as `payout.*`."""
    types, pattern = call.params.get("types"), call.params.get("type", "*")

    def of_types(record: Record) -> bool:
        type = record.body["type"]
        return (types is None or type in types) and fnmatch.fnmatchcase(type, pattern)

    return listed(call, KIND, "/v1/events", keep=of_types, keep_params=("type", "types"))


def view(context: Context, record: Record) -> JsonObject:
    """`pending_webhooks` is the number of deliveries that no endpoint has accepted yet."""
    return record.body | {"pending_webhooks": context.events.pending(record.id)}
