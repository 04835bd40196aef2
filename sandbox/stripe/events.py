"""Emits events and queues their deliveries to webhook endpoints."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sandbox.stripe.clock import Clock
from sandbox.stripe.errors import out_of_shape
from sandbox.stripe.ids import PLATFORM, new_id
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.schema.answers import event_problems
from sandbox.stripe.schema.derive import API_VERSION
from sandbox.stripe.store import Record, Store

KIND = "event"
DELIVERY = "sandbox.delivery"
ENDPOINT = "webhook_endpoint"
THIN = "v2.core.event"
DESTINATION = "v2.core.event_destination"


@dataclass(frozen=True)
class Cause:
    """The request that caused an event. Both fields are None for an event that a timer caused."""

    request_id: str | None = None
    idempotency_key: str | None = None


class Events:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._cause = Cause()
        self.on_enqueue: Callable[[], None] = lambda: None

    @contextlib.contextmanager
    def caused_by(self, cause: Cause) -> Iterator[None]:
        before, self._cause = self._cause, cause
        try:
            yield
        finally:
            self._cause = before

    def emit(self, account: str, type: str, object: JsonObject, previous_attributes: JsonObject | None = None) -> str:
        """Store an event with the object's current state, and queue a delivery to each subscribed endpoint."""
        data: JsonObject = {"object": object}
        if previous_attributes is not None:
            data["previous_attributes"] = previous_attributes
        body: JsonObject = {
            "id": new_id("evt"),
            "object": KIND,
            "api_version": API_VERSION,
            "created": self._clock.now(),
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,
            "request": {"id": self._cause.request_id, "idempotency_key": self._cause.idempotency_key},
            "type": type,
        }
        if account != PLATFORM:
            body["account"] = account
        if problems := event_problems(body):
            raise out_of_shape(f"event {type}", problems)
        self._store.put(KIND, body["id"], owner=account, body=body)
        for endpoint in self._store.newest_first(ENDPOINT, lambda endpoint: _is_subscribed(endpoint, account, type)):
            self.enqueue(str(body["id"]), endpoint.id)
        return str(body["id"])

    def enqueue(self, event: str, endpoint: str) -> str:
        """Queue one delivery. A second one for the same event is a duplicate, which Stripe may send, too."""
        delivery = {"id": new_id("dlv"), "event": event, "endpoint": endpoint, "attempts": 0, "due": 0.0}
        self._store.put(DELIVERY, str(delivery["id"]), owner=PLATFORM, body=delivery)
        self.on_enqueue()
        return str(delivery["id"])

    def pending(self, event: str) -> int:
        return sum(1 for record in self._store.scan(DELIVERY) if record.body["event"] == event)


def _is_subscribed(endpoint: Record, account: str, type: str) -> bool:
    """Whether the endpoint is subscribed. Connect endpoints receive events of connected accounts only, others none.

    Source: docs "Connect webhooks".
    """
    if endpoint.body["status"] != "enabled" or endpoint.hidden["connect"] != (account != PLATFORM):
        return False
    enabled = endpoint.body["enabled_events"]
    return "*" in enabled or type in enabled
