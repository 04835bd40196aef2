"""A Stripe sandbox of the test's own, with an instructor who has been paid."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
import stripe

from sandbox.stack.connected_accounts import create_connected_account
from tests.conftest import StripeSandbox
from tests.own_stripe import own_sandbox

Json = dict[str, Any]


class _RewritingTransport(stripe.HTTPXClient):
    """Passes each JSON answer of a path to `rewrite`, which may change it."""

    def __init__(self, path: str, rewrite: Callable[[Json], None]) -> None:
        super().__init__(timeout=10)
        self._path = path
        self._rewrite = rewrite

    async def request_async(self, *arguments: Any, **options: Any) -> tuple[bytes, int, Any]:
        content, status, headers = await super().request_async(*arguments, **options)
        if self._path not in arguments[1]:
            return content, status, headers
        body = json.loads(content)
        self._rewrite(body)
        return json.dumps(body).encode(), status, headers


@dataclass(frozen=True)
class PaidInstructor:
    sandbox: StripeSandbox
    client: stripe.StripeClient
    account_id: str

    async def charge(self, amount: int = 10_000, fee: int = 2_000) -> stripe.Charge:
        """A captured destination charge."""
        intent = await self.client.v1.payment_intents.create_async(
            {
                "amount": amount,
                "currency": "usd",
                "capture_method": "automatic",
                "payment_method": "pm_card_visa",
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
                "confirm": True,
                "application_fee_amount": fee,
                "transfer_data": {"destination": self.account_id},
            }
        )
        return await self.client.v1.charges.retrieve_async(str(intent.latest_charge))

    async def refund(self, charge: stripe.Charge, amount: int) -> stripe.Refund:
        """Part of the charge, with the transfer and the fee."""
        return await self.client.v1.refunds.create_async(
            {"charge": charge.id, "amount": amount, "reverse_transfer": True, "refund_application_fee": True}
        )

    async def next_payout(self) -> stripe.Payout:
        """Advance Stripe's clock until what was charged is paid out."""
        async with httpx.AsyncClient(base_url=self.sandbox.url, trust_env=False) as control:
            (await control.post("/_sandbox/clock", json={"advance_seconds": 3 * 86_400})).raise_for_status()
        payouts = await self.client.v1.payouts.list_async({}, {"stripe_account": self.account_id})
        return payouts.data[0]

    @asynccontextmanager
    async def rewritten(self, path: str, rewrite: Callable[[Json], None]) -> AsyncIterator[stripe.StripeClient]:
        """A client to which Stripe answers what the sandbox never does."""
        async with _client(self.sandbox, _RewritingTransport(path, rewrite)) as client:
            yield client


@asynccontextmanager
async def _client(sandbox: StripeSandbox, transport: stripe.HTTPXClient) -> AsyncIterator[stripe.StripeClient]:
    try:
        yield stripe.StripeClient(
            sandbox.key, base_addresses={"api": sandbox.url}, http_client=transport, max_network_retries=0
        )
    finally:
        await transport.close_async()  # type: ignore[no-untyped-call]


@pytest.fixture
async def paid() -> AsyncIterator[PaidInstructor]:
    async with own_sandbox() as sandbox, _client(sandbox, stripe.HTTPXClient(timeout=10)) as client:
        account = await create_connected_account(client, uuid4(), "Nadia", "T", f"{uuid4()}@example.com")
        yield PaidInstructor(sandbox, client, account)
