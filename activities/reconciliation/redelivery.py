"""Events that never came are brought to their workflows, the way that the webhook would have brought them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, update
from temporalio import activity

from activities.database import stripe_events
from activities.database.transactions import transaction
from activities.gateways import BalanceGateway, EventSeen
from models.domain.reconciliation import OVERLAP, STRIPE_KEEPS_EVENTS, ReconciliationStarted, Redelivered
from models.domain.stripe_events import RoutingResult, StripeEvent
from models.tables.people import Instructor

_AT_ONCE = 100
_FOLLOWED = timedelta(days=7)
"""How long an account is looked at after its payout has arrived, which the bank may return, or after news of it."""
_IN_TURN = 50
"""Besides, so many of the accounts of which nothing is expected: in each run those that have waited longest."""

# Each part reads one index: ix_instructor_payout_open, ix_instructor_payout_paid_at, ix_ledger_transaction_seq,
# ix_instructor_account_checked, ix_drift_open, ix_instructor_reconciled.
_DUE = """
WITH moving AS (
    SELECT instructor_id AS id FROM instructor_payout WHERE status IN ('PROCESSING', 'FAILED')
    UNION SELECT instructor_id FROM instructor_payout WHERE paid_at > :followed_since
    UNION SELECT instructor_id FROM ledger_transaction WHERE seq > :ledger_after
    UNION SELECT id FROM instructor WHERE account_checked_at > :followed_since
    UNION SELECT instructor_id FROM drift WHERE resolved_at IS NULL AND instructor_id IS NOT NULL
), in_turn AS (
    SELECT id FROM instructor WHERE stripe_account_id IS NOT NULL ORDER BY reconciled_at NULLS FIRST LIMIT :in_turn
)
SELECT id, stripe_account_id, events_until FROM instructor
WHERE id IN (SELECT id FROM moving UNION SELECT id FROM in_turn)
  AND stripe_account_id IS NOT NULL AND (reconciled_at IS NULL OR reconciled_at < :at)
ORDER BY id
"""


class EventReceiver(Protocol):
    """Where the webhook's events go, too."""

    async def take(self, event: StripeEvent) -> RoutingResult:
        """Hand the event to its workflow."""

    async def restart(self, event: StripeEvent) -> None:
        """The same for an event that we made up, to start a workflow again."""


@dataclass(frozen=True)
class _Account:
    instructor_id: UUID
    account_id: str
    events_until: datetime | None


class RedeliveryActivities:
    """Both may be tried again at any point: what was brought before is not brought again."""

    def __init__(self, engine: AsyncEngine, books: BalanceGateway, receiver: EventReceiver) -> None:
        self._engine = engine
        self._books = books
        self._receiver = receiver

    @activity.defn
    async def redeliver_platform_events(self, started: ReconciliationStarted) -> Redelivered:
        return await self._redeliver(None, started.events_since)

    @activity.defn
    async def redeliver_account_events(self, started: ReconciliationStarted) -> Redelivered:
        """Of the accounts from which something may be expected, and of some others in turn."""
        total = Redelivered()
        for account in await self._due(started):
            since = account.events_until - OVERLAP if account.events_until else started.at - STRIPE_KEEPS_EVENTS
            seen = await self._redeliver(account.account_id, since)
            await self._mark(account, started, seen.newest_at)
            total = Redelivered(
                accounts=total.accounts + 1,
                read=total.read + seen.read,
                redelivered=total.redelivered + seen.redelivered,
            )
        return total

    async def _redeliver(self, account_id: str | None, since: datetime) -> Redelivered:
        read = redelivered = 0
        newest_at: datetime | None = None
        waiting: list[EventSeen] = []
        async for seen in self._books.events(account_id, since):
            newest_at = max(newest_at or seen.created_at, seen.created_at)
            waiting.append(seen)
            if len(waiting) == _AT_ONCE:
                redelivered += await self._bring(waiting)
                read += len(waiting)
                waiting = []
        redelivered += await self._bring(waiting)
        return Redelivered(read=read + len(waiting), redelivered=redelivered, newest_at=newest_at)

    async def _bring(self, seen: Sequence[EventSeen]) -> int:
        """How many of them had never come and were somebody's."""
        activity.heartbeat()
        if not seen:
            return 0
        handed_on = 0
        for event in await stripe_events.not_taken(self._engine, [each.event for each in seen]):
            handed_on += await self._receiver.take(event) is RoutingResult.ROUTED
            activity.heartbeat()
        return handed_on

    async def _due(self, started: ReconciliationStarted) -> list[_Account]:
        parameters: dict[str, Any] = {
            "followed_since": started.at - _FOLLOWED,
            "ledger_after": started.ledger_after,
            "in_turn": _IN_TURN,
            "at": started.at,
        }
        async with transaction(self._engine) as session:
            found = await (await session.connection()).execute(text(_DUE), parameters)
            return [_Account(*row) for row in found]

    async def _mark(self, account: _Account, started: ReconciliationStarted, newest_at: datetime | None) -> None:
        until = max(filter(None, (newest_at, account.events_until)), default=None)
        statement = (
            update(Instructor)
            .where(col(Instructor.id) == account.instructor_id)
            .values(events_until=until, reconciled_at=started.at)
        )
        async with transaction(self._engine) as session:
            await session.exec(statement)
