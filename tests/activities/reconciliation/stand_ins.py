"""Stripe and Temporal of which a reconciliation has nothing to find."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

from activities.gateways import BalanceTransaction, ChargeBalances, EventSeen
from models.domain.messages import AttentionCase
from models.domain.money import Money
from models.domain.reconciliation import BookingExecution
from models.domain.stripe_events import RoutingResult, StripeEvent


class CountingStripe:
    """What Stripe has is what the ledger has."""

    def __init__(self, balances: dict[str, dict[str, int]]) -> None:
        self._balances = balances
        self.calls = Counter[str]()

    async def events(self, account_id: str | None, since: datetime) -> AsyncIterator[EventSeen]:
        self.calls["events"] += 1
        return
        yield

    async def balance_transactions(self, since: datetime) -> AsyncIterator[BalanceTransaction]:
        self.calls["balance transactions"] += 1
        return
        yield

    async def of_charge(self, charge_id: str, currency: str) -> ChargeBalances:
        self.calls["charge"] += 1
        return ChargeBalances(held=usd(0), platform=usd(1_680), connected=usd(8_000), fee=usd(320))

    async def balance_of(self, account_id: str) -> dict[str, int]:
        self.calls["balance"] += 1
        return self._balances.get(account_id, {"usd": 0})

    async def settled_on_platform(self, charge_id: str) -> Money:
        raise NotImplementedError

    async def settled_on_account(self, charge_id: str, account_id: str) -> Money | None:
        raise NotImplementedError

    async def transferred_without_charge(self, account_id: str) -> dict[str, int]:
        raise NotImplementedError


class NothingOpen:
    """Temporal, of which nothing has changed, and the router of events, of which there are none."""

    async def open_bookings(self) -> AsyncIterator[BookingExecution]:
        return
        yield

    async def booking(self, booking_id: UUID) -> BookingExecution | None:
        return None

    async def failed(self) -> list[str]:
        return []

    async def ended_from_outside(self, since: datetime, *, is_failed_included: bool) -> list[str]:
        return []

    async def is_running(self, workflow_id: str) -> bool:
        return False

    async def restart(self, workflow_id: str) -> bool:
        return False

    async def shown(self) -> dict[UUID, AttentionCase | None]:
        return {}

    async def show(self, case: AttentionCase, title: str) -> None:
        raise NotImplementedError

    async def end(self, booking_id: UUID) -> None:
        raise NotImplementedError

    async def route(self, event: StripeEvent) -> RoutingResult:
        raise NotImplementedError


def usd(amount_minor: int) -> Money:
    return Money(amount_minor=amount_minor, currency="usd")
