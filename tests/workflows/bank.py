"""Stripe's clock and an instructor's bank, on a sandbox of the test's own."""

from dataclasses import dataclass

import httpx
import stripe

from sandbox.stack.ports import NO_TLS
from tests.workflows.saga import Booked, Saga

DAY_SECONDS = 86_400
UNTIL_SENT = 3 * DAY_SECONDS
"""Seconds until a charge is certainly paid out: it is available at the second midnight, and sent then."""


@dataclass(frozen=True)
class Bank:
    saga: Saga
    account_id: str

    async def wait(self, seconds: int) -> None:
        """Advance Stripe's clock."""
        await self._order("/clock", {"advance_seconds": seconds})

    async def return_payout(self, payout_id: str, code: str = "account_closed") -> None:
        await self._order(f"/payouts/{payout_id}/fail", {"failure_code": code})

    async def payouts(self) -> list[stripe.Payout]:
        """The newest first."""
        found = await self.saga.stripe.v1.payouts.list_async({"limit": 100}, {"stripe_account": self.account_id})
        return found.data

    async def payout(self) -> stripe.Payout:
        [payout] = await self.payouts()
        return payout

    async def set_bank_account(self, token: str) -> None:
        await self.saga.stripe.v1.accounts.external_accounts.create_async(self.account_id, {"external_account": token})

    async def balance(self) -> int:
        """The instructor's balance at Stripe."""
        balance = await self.saga.stripe.v1.balance.retrieve_async(options={"stripe_account": self.account_id})
        return sum(part["amount"] for part in [*balance.available, *balance.pending])

    async def _order(self, path: str, body: dict[str, object]) -> None:
        async with httpx.AsyncClient(base_url=self.saga.stripe_url, trust_env=False, verify=NO_TLS) as client:
            (await client.post(f"/_sandbox{path}", json=body)).raise_for_status()


def bank_of(booked: Booked) -> Bank:
    return Bank(booked.saga, booked.order.terms.stripe_account_id)
