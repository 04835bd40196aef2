"""Events as API objects (API reference, "Events")."""

from sandbox.stripe.context import Call, Context
from sandbox.stripe.events import KIND
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.lists import listed
from sandbox.stripe.store import Record


def retrieve(call: Call) -> JsonObject:
    return call.context.view(call.from_path(KIND, "id"))


def list_all(call: Call) -> JsonObject:
    types = call.params.get("types")

    def of_types(record: Record) -> bool:
        return types is None or record.body["type"] in types

    return listed(call, KIND, "/v1/events", "type", keep=of_types, keep_param="types")


def view(context: Context, record: Record) -> JsonObject:
    """`pending_webhooks` is the number of deliveries that no endpoint has accepted yet."""
    return record.body | {"pending_webhooks": context.events.pending(record.id)}
