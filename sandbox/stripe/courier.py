"""Webhook delivery: signed, at least once, again and again until a 2xx.

The signature is Stripe's: `t=<unix time>,v1=<HMAC-SHA256 of "t.payload">` (docs "Verify webhook signatures").
Stripe retries for up to three days with exponential backoff; here the same in real time, beginning with a
fraction of a second.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
import time

import httpx

from sandbox.stripe.events import DELIVERY, ENDPOINT, KIND
from sandbox.stripe.json_values import JsonObject
from sandbox.stripe.store import Record
from sandbox.stripe.world import World

_FIRST_RETRY_SECONDS = 0.25
_LONGEST_WAIT_SECONDS = 30.0
_GIVE_UP_AFTER_SECONDS = 3 * 86_400
_TIMEOUT_SECONDS = 20.0
_AT_ONCE = 16


class Courier:
    """One task that sends what is owed. It starts with the first event, within the running event loop."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._in_flight: dict[str, asyncio.Task[None]] = {}

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
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            while True:
                self._wake.clear()
                wait = self._send_due(client)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), wait)

    def _send_due(self, client: httpx.AsyncClient) -> float | None:
        """Start what is due, oldest first; the seconds until the next, or None when nothing is owed."""
        now = time.time()
        earliest: float | None = None
        for delivery in list(self._world.store.scan(DELIVERY)):
            if delivery.id in self._in_flight:
                continue
            due = delivery.body["due"]
            if due <= now and len(self._in_flight) < _AT_ONCE:
                task = asyncio.get_running_loop().create_task(self._send(client, delivery.copy()))
                self._in_flight[delivery.id] = task
            else:
                earliest = due if earliest is None else min(earliest, due)
        return None if earliest is None else max(earliest - now, 0.01)

    async def _send(self, client: httpx.AsyncClient, delivery: Record) -> None:
        try:
            endpoint = self._world.store.find(ENDPOINT, delivery.body["endpoint"])
            if endpoint is None or await self._accepted(client, delivery, endpoint):
                self._finish(delivery)
            else:
                self._put_off(delivery)
        finally:
            self._in_flight.pop(delivery.id, None)
            self._wake.set()

    async def _accepted(self, client: httpx.AsyncClient, delivery: Record, endpoint: Record) -> bool:
        event = self._world.store.get(KIND, delivery.body["event"])
        payload = payload_of(self._world, event, endpoint)
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

    def _finish(self, delivery: Record) -> None:
        with self._world.store.transaction():
            if self._world.store.find(DELIVERY, delivery.id):
                self._world.store.remove(DELIVERY, delivery.id)

    def _put_off(self, delivery: Record) -> None:
        delivery.body["attempts"] += 1
        wait = min(_FIRST_RETRY_SECONDS * 2 ** (delivery.body["attempts"] - 1), _LONGEST_WAIT_SECONDS)
        delivery.body["due"] = time.time() + wait
        if delivery.body.setdefault("first_failed", time.time()) + _GIVE_UP_AFTER_SECONDS < time.time():
            self._finish(delivery)
            return
        with self._world.store.transaction():
            if self._world.store.find(DELIVERY, delivery.id):
                self._world.store.save(delivery)


def payload_of(world: World, event: Record, endpoint: Record) -> str:
    body: JsonObject = world.view(event) | {"api_version": endpoint.body["api_version"] or event.body["api_version"]}
    return json.dumps(body, indent=2)


def signature(payload: str, secret: str, timestamp: int) -> str:
    signed = hmac.new(secret.encode(), f"{timestamp}.{payload}".encode(), hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={signed}"
