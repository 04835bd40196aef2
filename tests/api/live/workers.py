"""Workers for the tests, and gateways that fail as Stripe would."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from uuid import UUID

import stripe
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities.stripe.balances import StripeBalances
from activities.stripe.disputes import StripeDisputes
from activities.stripe.payments import StripeGateway
from activities.stripe.payouts import StripePayouts
from activities.stripe.refunds import StripeRefunds
from models.domain.errors import PaymentError
from tests.api.world import PUBLIC_URL
from worker import build_worker


class FailingGateway(StripeGateway):
    """Stripe, but canceling a hold raises `failure` while it is set."""

    def __init__(self, client: stripe.StripeClient, failure: PaymentError) -> None:
        super().__init__(client, PUBLIC_URL)
        self.failure: PaymentError | None = failure

    async def cancel(self, payment_intent_id: str, *, key: str) -> None:
        if self.failure:
            raise self.failure
        await super().cancel(payment_intent_id, key=key)


class AccountsFailing(StripeGateway):
    """Stripe, but creating an account raises `failure` while it is set."""

    def __init__(self, client: stripe.StripeClient, failure: PaymentError) -> None:
        super().__init__(client, PUBLIC_URL)
        self.failure: PaymentError | None = failure

    async def create_account(self, instructor_id: UUID, email: str, *, key: str) -> str:
        if self.failure:
            raise self.failure
        return await super().create_account(instructor_id, email, key=key)


@dataclass(frozen=True)
class Workers:
    client: Client
    task_queue: str
    engine: AsyncEngine
    stripe: stripe.StripeClient

    def at_work(self, gateway: StripeGateway | None = None) -> AbstractAsyncContextManager[None]:
        gateway = gateway or StripeGateway(self.stripe, PUBLIC_URL)
        return build_worker(
            self.client,
            self.task_queue,
            self.engine,
            gateway,
            StripeDisputes(self.stripe),
            StripePayouts(self.stripe),
            StripeRefunds(self.stripe),
            StripeBalances(self.stripe),
            pages_url=PUBLIC_URL,
        )
