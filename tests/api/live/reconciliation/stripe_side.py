"""Stripe's side of the reconciliation tests: what happens there, and which of its events are delivered."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import httpx
import stripe
from stripe import PaymentIntent, WebhookSignature

from models.domain.stripe_events import BOOKING_METADATA, CONNECT_EVENTS, PLATFORM_EVENTS, THIN_EVENTS
from sandbox.stack.ports import NO_TLS
from tests.api.stripe_events import CONNECT_PATH, PATH
from tests.api.world import CONNECT_WEBHOOK_KEY, JSON, WEBHOOK_KEY, World

DAY_SECONDS = 86_400
HANDLED = PLATFORM_EVENTS | CONNECT_EVENTS | THIN_EVENTS


@dataclass(frozen=True)
class StripeSide:
    """A marketplace, a client of its API, and a Stripe sandbox of the test's own."""

    client: httpx.AsyncClient
    world: World
    stripe: stripe.StripeClient
    stripe_url: str
    account_id: str

    async def deliver(self, *, but_for: frozenset[str] = frozenset()) -> None:
        """Deliver every event so far, oldest first, as Stripe does. Those of the types in `but_for` are lost."""
        for account in (None, self.account_id):
            for event in reversed(await self.events(account)):
                if event["type"] in HANDLED - but_for:
                    await self._send(event, account)

    async def events(self, account: str | None = None) -> list[JSON]:
        """All events of the platform, or of an account and about it, the newest of each kind first."""
        options: Any = {"stripe_account": account} if account else {}
        try:
            page = await self.stripe.v1.events.list_async({"limit": 100}, options)
            events = [event.to_dict() async for event in page.auto_paging_iter()]
        except stripe.PermissionError:
            events = []  # The account is closed.
        if account:
            thin = await self.stripe.v2.core.events.list_async({"object_id": account})
            events += [event.to_dict() async for event in thin.auto_paging_iter()]
        return events

    async def reconcile(self) -> JSON:
        """Have an operator start a run, and wait for its end."""
        path, headers = "/v1/operator/reconciliations", self.world.operator.headers
        answer = await self.client.post(path, headers=headers)
        assert answer.status_code == 202, answer.text
        async with asyncio.timeout(60):
            while True:
                shown = await self.client.get(f"{path}/{answer.json()['id']}", headers=headers)
                if shown.status_code == 200 and shown.json()["finished_at"]:
                    run: JSON = shown.json()
                    return run
                await asyncio.sleep(0.2)

    async def drifts(self, **query: str) -> list[JSON]:
        answer = await self.client.get("/v1/operator/drifts", params=query, headers=self.world.operator.headers)
        assert answer.status_code == 200, answer.text
        data: list[JSON] = answer.json()["data"]
        return data

    async def wait(self, seconds: int) -> None:
        """Advance Stripe's clock."""
        await self.order("/clock", {"advance_seconds": seconds})

    async def order(self, path: str, body: JSON) -> JSON:
        async with httpx.AsyncClient(base_url=self.stripe_url, trust_env=False, verify=NO_TLS) as sandbox:
            answer = (await sandbox.post(f"/_sandbox{path}", json=body)).raise_for_status()
        content: JSON = answer.json()
        return content

    async def intent(self, booking_id: str) -> PaymentIntent:
        listed = await self.stripe.v1.payment_intents.list_async({"limit": 100})
        [intent] = [
            each
            async for each in listed.auto_paging_iter()
            if each.metadata and each.metadata.to_dict().get(BOOKING_METADATA) == booking_id
        ]
        return intent

    async def _send(self, event: JSON, account: str | None) -> None:
        body = json.dumps(event, default=str)
        key, path = (CONNECT_WEBHOOK_KEY, CONNECT_PATH) if account else (WEBHOOK_KEY, PATH)
        signature = WebhookSignature.generate_signature_header(body, key)
        answer = await self.client.post(path, content=body, headers={"Stripe-Signature": signature})
        assert answer.status_code == 200, answer.text
