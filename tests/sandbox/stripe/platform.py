"""A platform with connected accounts, Checkout Sessions and payments, as the tests need them."""

import json
from dataclasses import dataclass
from typing import Any, Literal

import httpx
from stripe import Account, PaymentIntent, StripeClient
from stripe.checkout import Session
from stripe.params import AccountCreateParams, PaymentIntentCreateParams
from stripe.params.checkout import SessionCreateParams

API_KEY = "sk_test_sandbox_suite"
GOOD_CARD = "4242424242424242"
DECLINED_CARD = "4000000000000002"
CARD_WITHOUT_FUNDS = "4000000000009995"
CARD_REQUIRING_3DS = "4000002500003155"

Json = dict[str, Any]


@dataclass(frozen=True)
class Platform:
    url: str
    stripe: StripeClient
    browser: httpx.AsyncClient

    async def account(
        self, onboarded: bool = True, losses: Literal["application", "stripe"] = "application"
    ) -> Account:
        params: AccountCreateParams = {
            "country": "US",
            "controller": {
                "fees": {"payer": "application"},
                "losses": {"payments": losses},
                "stripe_dashboard": {"type": "express"},
            },
            "capabilities": {"transfers": {"requested": True}},
        }
        account = await self.stripe.v1.accounts.create_async(params)
        if onboarded:
            await self.control("POST", f"/accounts/{account.id}/onboard")
        return account

    async def checkout(self, amount: int = 10_000, currency: str = "usd", **more: Any) -> Session:
        params: SessionCreateParams = {
            "mode": "payment",
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": currency,
                        "unit_amount": amount,
                        "product_data": {"name": "One hour of Greek"},
                    },
                }
            ],
            "success_url": "https://shop.test/paid?session={CHECKOUT_SESSION_ID}",
            "cancel_url": "https://shop.test/cancelled",
            **more,  # type: ignore[typeddict-item]
        }
        return await self.stripe.v1.checkout.sessions.create_async(params)

    async def submit(self, session: Session, number: str = GOOD_CARD) -> httpx.Response:
        """Submit the session's page."""
        assert session.url is not None
        form = {"number": number, "expiry": "12 / 34", "cvc": "123", "name": "Ada", "email": "ada@student.test"}
        return await self.browser.post(session.url, data=form)

    async def hold(self, amount: int = 10_000, currency: str = "usd", **more: Any) -> PaymentIntent:
        """A PaymentIntent in `requires_capture`, created without Checkout."""
        return await self.paid(amount, currency, capture_method="manual", **more)

    async def paid(self, amount: int = 10_000, currency: str = "usd", **more: Any) -> PaymentIntent:
        params: PaymentIntentCreateParams = {
            "amount": amount,
            "currency": currency,
            "payment_method": "pm_card_visa",
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "confirm": True,
            **more,  # type: ignore[typeddict-item]
        }
        return await self.stripe.v1.payment_intents.create_async(params)

    async def destination_hold(self, account: str, amount: int = 10_000, fee: int = 2_000) -> PaymentIntent:
        return await self.hold(amount, application_fee_amount=fee, transfer_data={"destination": account})

    async def control(self, method: str, path: str, body: Json | None = None) -> Json:
        response = await self.browser.request(method, f"/_sandbox{path}", content=json.dumps(body or {}))
        assert response.status_code == 200, response.text
        payload: Json = response.json()
        return payload

    async def advance(self, seconds: int) -> None:
        await self.control("POST", "/clock", {"advance_seconds": seconds})

    async def raw(self, method: str, path: str, body: str = "", **headers: str) -> httpx.Response:
        """A request that stripe-python would not send."""
        form = {"Authorization": f"Bearer {API_KEY}", "Content-Type": "application/x-www-form-urlencoded"}
        return await self.browser.request(method, path, content=body, headers=form | headers)

    async def event_types(self, account: str | None = None) -> list[str]:
        """The types of all events so far, oldest first."""
        options = {"stripe_account": account} if account else {}
        page = await self.stripe.v1.events.list_async({"limit": 100}, options)  # type: ignore[arg-type]
        return [event.type for event in reversed(page.data)]

    async def net(self, account: str | None = None, currency: str = "usd") -> int:
        """An account's balance, pending and available together."""
        options = {"stripe_account": account} if account else {}
        balance = await self.stripe.v1.balance.retrieve_async({}, options)  # type: ignore[arg-type]
        available = sum(line.amount for line in balance.available if line.currency == currency)
        return available + sum(line.amount for line in balance.pending if line.currency == currency)

    async def balance_transactions(self, account: str | None = None) -> list[tuple[str, int, int]]:
        """An account's balance transactions, oldest first, as (type, amount, fee)."""
        options = {"stripe_account": account} if account else {}
        page = await self.stripe.v1.balance_transactions.list_async({"limit": 100}, options)  # type: ignore[arg-type]
        return [(line.type, line.amount, line.fee) for line in reversed(page.data)]
