"""Webhook delivery: signed, at least once, again and again until a 2xx.

The signature is Stripe's: `t=<unix time>,v1=<HMAC-SHA256 of "t.payload">` (docs "Verify webhook signatures"), with the
real time, since the receiver compares it with its own clock. Stripe retries for up to three days with exponential
backoff; here the same in real time, beginning with a fraction of a second.
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
from sandbox.stripe.events import DELIVERY, ENDPOINT, KIND
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.store import Record

_FIRST_RETRY_SECONDS = 0.25
_LONGEST_WAIT_SECONDS = 30.0
_GIVE_UP_AFTER_SECONDS = 3 * 86_400
_TIMEOUT_SECONDS = 20.0
_AT_ONCE = 16

# Made once: reading the certificates costs more than many deliveries.
_TLS = ssl.create_default_context()


@dataclass(frozen=True)
class Handling:
    """How deliveries are made, on order of a test: nothing of it is promised or excluded by Stripe.

    `held` keeps everything back; what is released then goes out in `order`, one by one unless it is as sent.
    Each delivery goes out `copies` times. An event whose type matches a pattern of `lost` is never sent.
    """

    held: bool = False
    order: Literal["as_sent", "reversed", "shuffled"] = "as_sent"
    copies: int = 1
    lost: list[str] = field(default_factory=list)
    seed: int = 0

    def loses(self, type: str) -> bool:
        return any(fnmatch.fnmatchcase(type, pattern) for pattern in self.lost)

    def arranged(self, deliveries: list[Record]) -> list[Record]:
        if self.order == "reversed":
            return deliveries[::-1]
        if self.order == "shuffled":
            random.Random(self.seed).shuffle(deliveries)  # noqa: S311
        return deliveries


class WebhookDelivery:
    """One task that sends what is owed. It starts with the first event, within the running event loop."""

    def __init__(self, context: Context) -> None:
        self.handling = Handling()
        self._world = context
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._in_flight: dict[str, asyncio.Task[None]] = {}

    def handle(self, handling: Handling) -> None:
        """Deliver in another way from now on."""
        self.handling = handling
        self.wake()

    def wake(self) -> None:
        """There is something to send. Safe to call where no event loop runs: `start` sends it later."""
        self._wake.set()
        with contextlib.suppress(RuntimeError):
            self.start()

    def start(self) -> None:
        """Raises RuntimeError outside an event loop."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop sending; what is still owed stays in the state."""
        tasks = [task for task in (self._task, *self._in_flight.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task = None

    async def _run(self) -> None:
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False, verify=_TLS) as client:
            while True:
                self._wake.clear()
                wait = None if self.handling.held else self._send_due(client)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), wait)

    def _send_due(self, client: httpx.AsyncClient) -> float | None:
        """Start what is due; the seconds until the next, or None when nothing else is owed."""
        now = time.time()
        waiting = [record for record in self._world.store.scan(DELIVERY) if record.id not in self._in_flight]
        due = self.handling.arranged([record for record in waiting if record.body["due"] <= now])
        at_once = _AT_ONCE if self.handling.order == "as_sent" else 1
        for delivery in due[: max(at_once - len(self._in_flight), 0)]:
            task = asyncio.get_running_loop().create_task(self._send(client, delivery.copy()))
            self._in_flight[delivery.id] = task
        later = [record.body["due"] for record in waiting if record.body["due"] > now]
        return max(min(later) - now, 0.01) if later else None

    async def _send(self, client: httpx.AsyncClient, delivery: Record) -> None:
        try:
            endpoint = self._world.store.find(ENDPOINT, delivery.body["endpoint"])
            event = self._world.store.get(KIND, delivery.body["event"])
            if endpoint is None or self.handling.loses(event.body["type"]):
                self._finish(delivery)
                return
            payload = payload_of(self._world, event, endpoint)
            accepted = [await _accepted(client, endpoint, payload) for _ in range(self.handling.copies)]
            if all(accepted):
                self._finish(delivery)
            else:
                self._put_off(delivery)
        finally:
            self._in_flight.pop(delivery.id, None)
            self._wake.set()

    def _finish(self, delivery: Record) -> None:
        with self._world.store.transaction():
            if self._world.store.find(DELIVERY, delivery.id):
                self._world.store.remove(DELIVERY, delivery.id)

    def _put_off(self, delivery: Record) -> None:
        now = time.time()
        if delivery.body.setdefault("first_failed", now) + _GIVE_UP_AFTER_SECONDS < now:
            self._finish(delivery)
            return
        delivery.body["attempts"] += 1
        wait = min(_FIRST_RETRY_SECONDS * 2 ** (delivery.body["attempts"] - 1), _LONGEST_WAIT_SECONDS)
        delivery.body["due"] = now + wait
        with self._world.store.transaction():
            if self._world.store.find(DELIVERY, delivery.id):
                self._world.store.save(delivery)


async def _accepted(client: httpx.AsyncClient, endpoint: Record, payload: str) -> bool:
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": signature(payload, endpoint.hidden["secret"], int(time.time())),
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks) sandbox",
    }
    try:
        response = await client.post(endpoint.body["url"], content=payload.encode(), headers=headers)
    except httpx.HTTPError:
        return False
    return response.is_success


def payload_of(context: Context, event: Record, endpoint: Record) -> str:
    body: JsonObject = context.view(event) | {"api_version": endpoint.body["api_version"] or event.body["api_version"]}
    return json.dumps(body, indent=2)


def signature(payload: str, secret: str, timestamp: int) -> str:
    signed = hmac.new(secret.encode(), f"{timestamp}.{payload}".encode(), hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={signed}"
