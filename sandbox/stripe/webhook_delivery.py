"""Delivers webhook events: signed, at least once, with retries until a 2xx.

The signature is Stripe's: `t=<unix time>,v1=<HMAC-SHA256 of "t.payload">` (docs "Verify webhook signatures"). It uses
real time, since the receiver compares it with its own clock. Stripe retries for up to three days with exponential
backoff. The sandbox does the same in real time, starting with a fraction of a second.
"""

import asyncio
import contextlib
import fnmatch
import hashlib
import hmac
import json
import random
import ssl
import time
from dataclasses import dataclass, field
from typing import Literal

import httpx

from sandbox.stripe.context import Context
from sandbox.stripe.events import DELIVERY, DESTINATION, ENDPOINT, KIND, THIN
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.store import Record

_FIRST_RETRY_SECONDS = 0.25
_MAX_RETRY_SECONDS = 30.0
_GIVE_UP_AFTER_SECONDS = 3 * 86_400
_TIMEOUT_SECONDS = 20.0
_MAX_CONCURRENT = 16

# Created once: loading the certificates costs more than many deliveries.
_TLS = ssl.create_default_context()


@dataclass(frozen=True)
class DeliveryOptions:
    """How deliveries are made. Tests set this to what Stripe does not rule out.

    `held` holds all deliveries back. They are made in `order`, one at a time unless it is `as_sent`. Each delivery is
    made `copies` times. An event whose type matches a pattern in `lost` is never delivered. With `about`, only those
    are lost that have this id in them.
    """

    held: bool = False
    order: Literal["as_sent", "reversed", "shuffled"] = "as_sent"
    copies: int = 1
    lost: list[str] = field(default_factory=list)
    about: str = ""
    seed: int = 0

    def drops(self, event: JsonObject) -> bool:
        is_lost = any(fnmatch.fnmatchcase(event["type"], pattern) for pattern in self.lost)
        return is_lost and self.about in json.dumps(event)

    def in_order(self, deliveries: list[Record]) -> list[Record]:
        if self.order == "reversed":
            return deliveries[::-1]
        if self.order == "shuffled":
            random.Random(self.seed).shuffle(deliveries)  # noqa: S311
        return deliveries


class WebhookDelivery:
    """Sends pending deliveries in one task, which starts with the first event in the running event loop."""

    def __init__(self, context: Context) -> None:
        self.options = DeliveryOptions()
        self._context = context
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._in_flight: dict[str, asyncio.Task[None]] = {}

    def configure(self, options: DeliveryOptions) -> None:
        """Change the options of all further deliveries."""
        self.options = options
        self.wake()

    def wake(self) -> None:
        """Wake the task up. Without a running event loop, the deliveries wait until `start`."""
        self._wake.set()
        with contextlib.suppress(RuntimeError):
            self.start()

    def start(self) -> None:
        """Start the task. Raises RuntimeError without a running event loop."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop sending. Pending deliveries stay in the state."""
        tasks = [task for task in (self._task, *self._in_flight.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task = None

    async def _run(self) -> None:
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False, verify=_TLS) as client:
            while True:
                self._wake.clear()
                wait = None if self.options.held else self._send_due(client)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), wait)

    def _send_due(self, client: httpx.AsyncClient) -> float | None:
        """Start all due deliveries. Returns the seconds until the next one, or None if there is none."""
        now = time.time()
        waiting = [record for record in self._context.store.scan(DELIVERY) if record.id not in self._in_flight]
        due = self.options.in_order([record for record in waiting if record.body["due"] <= now])
        limit = _MAX_CONCURRENT if self.options.order == "as_sent" else 1
        for delivery in due[: max(limit - len(self._in_flight), 0)]:
            task = asyncio.get_running_loop().create_task(self._send(client, delivery.copy()))
            self._in_flight[delivery.id] = task
        later = [record.body["due"] for record in waiting if record.body["due"] > now]
        return max(min(later) - now, 0.01) if later else None

    async def _send(self, client: httpx.AsyncClient, delivery: Record) -> None:
        try:
            store, to = self._context.store, delivery.body["endpoint"]
            endpoint = store.find(ENDPOINT, to) or store.find(DESTINATION, to)
            event = store.find(KIND, delivery.body["event"]) or store.get(THIN, delivery.body["event"])
            if endpoint is None or self.options.drops(event.body):
                self._finish(delivery)
                return
            payload = payload_of(self._context, event, endpoint)
            accepted = [await _accepted(client, endpoint, payload) for _ in range(self.options.copies)]
            if all(accepted):
                self._finish(delivery)
            else:
                self._retry_later(delivery)
        finally:
            self._in_flight.pop(delivery.id, None)
            self._wake.set()

    def _finish(self, delivery: Record) -> None:
        with self._context.store.transaction():
            if self._context.store.find(DELIVERY, delivery.id):
                self._context.store.remove(DELIVERY, delivery.id)

    def _retry_later(self, delivery: Record) -> None:
        now = time.time()
        if delivery.body.setdefault("first_failed", now) + _GIVE_UP_AFTER_SECONDS < now:
            self._finish(delivery)
            return
        delivery.body["attempts"] += 1
        wait = min(_FIRST_RETRY_SECONDS * 2 ** (delivery.body["attempts"] - 1), _MAX_RETRY_SECONDS)
        delivery.body["due"] = now + wait
        with self._context.store.transaction():
            if self._context.store.find(DELIVERY, delivery.id):
                self._context.store.save(delivery)


async def _accepted(client: httpx.AsyncClient, endpoint: Record, payload: str) -> bool:
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": signature(payload, endpoint.hidden["secret"], int(time.time())),
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks) sandbox",
    }
    try:
        url = endpoint.hidden["url"] if endpoint.kind == DESTINATION else endpoint.body["url"]
        response = await client.post(url, content=payload.encode(), headers=headers)
    except httpx.HTTPError:
        return False
    return response.is_success


def payload_of(context: Context, event: Record, endpoint: Record) -> str:
    if event.kind == THIN:
        return json.dumps({name: value for name, value in event.body.items() if name != "changes"}, indent=2)
    body: JsonObject = context.view(event) | {"api_version": endpoint.body["api_version"] or event.body["api_version"]}
    return json.dumps(body, indent=2)


def signature(payload: str, secret: str, timestamp: int) -> str:
    signed = hmac.new(secret.encode(), f"{timestamp}.{payload}".encode(), hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={signed}"
