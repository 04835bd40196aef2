"""A payment gateway and its plan against the Stripe sandbox, whose faults and clock a test controls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import stripe

from activities.booking.holds import HoldPlan
from activities.gateways import CheckoutPage, CheckoutRequest, CheckoutText
from activities.stripe.client import stripe_client
from activities.stripe.payments import StripeGateway
from models.domain.money import Money
from models.domain.payments import HoldPhase, PaymentRef, PaymentState
from models.domain.policy import BookingPolicy, PaymentPlan, split
from models.domain.terms import BookingTerms
from sandbox.browser.checkout_page import pay
from sandbox.stack.connected_accounts import create_connected_account
from sandbox.stack.stripe_server import SANDBOX_KEY

HUNDRED = Money(amount_minor=10_000, currency="usd")
HALF = split(Money(amount_minor=5_000, currency="usd"), BookingPolicy())


class FaultySandbox:
    """A gateway and its plan against the Stripe sandbox, with the sandbox's faults and clock."""

    def __init__(self, client: stripe.StripeClient, control: httpx.AsyncClient) -> None:
        self.stripe = client
        self.gateway = StripeGateway(client, "http://127.0.0.1:1")
        self.plan = HoldPlan(self.gateway)
        self._control = control

    async def fail(self, kind: str, path: str) -> None:
        """Inject a fault that occurs once. `path` is a pattern, as in the sandbox's control API."""
        response = await self._control.post("/_sandbox/faults", json={"kind": kind, "path": path, "times": 1})
        response.raise_for_status()

    async def has_failed(self) -> bool:
        """Whether every injected fault has occurred."""
        faults = (await self._control.get("/_sandbox/faults")).json()["faults"]
        return all(fault["hits"] for fault in faults)

    async def advance(self, time: timedelta) -> None:
        seconds = time.total_seconds()
        (await self._control.post("/_sandbox/clock", json={"advance_seconds": seconds})).raise_for_status()

    async def request(self, price: Money = HUNDRED, policy: BookingPolicy | None = None) -> CheckoutRequest:
        student_id, instructor_id, booking_id = uuid4(), uuid4(), uuid4()
        account = await create_connected_account(self.stripe, instructor_id, "I", "T", f"{uuid4()}@example.com")
        customer = await self.gateway.create_customer(student_id, f"{student_id}@example.com", "S", key=str(uuid4()))
        now = datetime.now(UTC)
        terms = BookingTerms(
            booking_id=booking_id,
            student_id=student_id,
            instructor_id=instructor_id,
            offering_id=uuid4(),
            slot_id=uuid4(),
            starts_at=now + timedelta(days=1),
            ends_at=now + timedelta(days=1, hours=1),
            price=price,
            policy=policy or BookingPolicy(),
            plan=PaymentPlan.HOLD,
            stripe_account_id=account,
        )
        return CheckoutRequest(
            terms=terms,
            amount=price,
            split=split(price, terms.policy),
            text=CheckoutText(
                language="de", product="Counterpoint", description="With Nadia", disclosure="You pay after the session."
            ),
            customer_id=customer,
            expires_at=now + timedelta(hours=1),
        )

    async def held(
        self, price: Money = HUNDRED, policy: BookingPolicy | None = None
    ) -> tuple[PaymentRef, PaymentState]:
        """Place a hold."""
        request = await self.request(price, policy)
        page = await self.plan.secure(request, retrying=False)
        assert page.url
        assert await pay(page.url)
        ref = checkout_ref(request, page)
        payment = await self.plan.look_up(ref, None)
        assert payment.phase is HoldPhase.HELD
        return ref.model_copy(update={"payment_intent_id": payment.payment_intent_id}), payment


def checkout_ref(request: CheckoutRequest, page: CheckoutPage | None = None) -> PaymentRef:
    return PaymentRef(
        booking_id=request.terms.booking_id,
        plan=PaymentPlan.HOLD,
        student_id=request.terms.student_id,
        checkout_session_id=page.checkout.checkout_session_id if page else None,
    )


@asynccontextmanager
async def sandbox_at(url: str) -> AsyncIterator[FaultySandbox]:
    async with stripe_client(SANDBOX_KEY, url) as client, httpx.AsyncClient(base_url=url) as control:
        yield FaultySandbox(client, control)
        await control.delete("/_sandbox/faults")
