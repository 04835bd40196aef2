"""Routes Stripe events that were never received to their workflows, as the webhook would have done."""

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
from models.domain.reconciliation import EVENT_RETENTION, OVERLAP, ReconciliationStarted, RedeliveryResult
from models.domain.stripe_events import RoutingResult, StripeEvent
from models.tables.people import Instructor

_BATCH_SIZE = 100
_RECENT = timedelta(days=7)
"""For so long after a payout arrived, which the bank may return, or its state changed, something may still happen."""
_DAILY = timedelta(days=1)
"""How often an account is read on which something may happen, and nothing has since it was last read."""
_OTHER_ACCOUNTS = 50
"""How many other accounts each run reads: those that were not read for the longest time."""

# Each part of the query reads one index: ix_ledger_transaction_seq, ix_drift_open, ix_instructor_payout_unpaid,
# ix_instructor_payout_paid_at, ix_instructor_account_checked, ix_instructor_reconciled.
_ACCOUNTS_TO_READ = """
WITH changed AS (
    SELECT instructor_id AS id FROM ledger_transaction WHERE seq > :ledger_after
    UNION SELECT instructor_id FROM drift WHERE resolved_at IS NULL AND instructor_id IS NOT NULL
), expecting (id, since) AS (
    SELECT instructor_id, greatest(updated_at, CASE WHEN expected_at < :at THEN expected_at END)
    FROM instructor_payout WHERE status IN ('PROCESSING', 'FAILED')
    UNION ALL SELECT instructor_id, paid_at FROM instructor_payout WHERE paid_at > :recent_since
    UNION ALL SELECT id, account_checked_at FROM instructor WHERE account_checked_at > :recent_since
), due AS (
    SELECT expecting.id FROM expecting JOIN instructor AS known ON known.id = expecting.id
    WHERE known.reconciled_at < greatest(expecting.since, :daily) OR known.reconciled_at IS NULL
), others AS (
    SELECT id FROM instructor WHERE stripe_account_id IS NOT NULL ORDER BY reconciled_at NULLS FIRST LIMIT :others
)
SELECT id, stripe_account_id, events_until FROM instructor
WHERE id IN (SELECT id FROM changed UNION SELECT id FROM due UNION SELECT id FROM others)
  AND stripe_account_id IS NOT NULL AND (reconciled_at IS NULL OR reconciled_at < :at)
ORDER BY id
"""


class EventRouter(Protocol):
    """Routes events to workflows. The webhook uses the same one."""

    async def route(self, event: StripeEvent) -> RoutingResult:
        """Route a received event to its workflow, and record it."""


@dataclass(frozen=True)
class _Account:
    instructor_id: UUID
    account_id: str
    events_until: datetime | None


class RedeliveryActivities:
    """Both are safe to retry: an event that was routed before is not routed again."""

    def __init__(self, engine: AsyncEngine, balances: BalanceGateway, router: EventRouter) -> None:
        self._engine = engine
        self._balances = balances
        self._router = router

    @activity.defn
    async def redeliver_platform_events(self, started: ReconciliationStarted) -> RedeliveryResult:
        """Route the missed events of the platform's own account."""
        return await self._redeliver(None, started.events_since)

    @activity.defn
    async def redeliver_account_events(self, started: ReconciliationStarted) -> RedeliveryResult:
        """Route the missed events of accounts: of those that changed or may have, and of some others in turn."""
        total = RedeliveryResult()
        for account in await self._accounts_to_read(started):
            since = account.events_until - OVERLAP if account.events_until else started.at - EVENT_RETENTION
            seen = await self._redeliver(account.account_id, since)
            await self._mark_read(account, started, seen.newest_at)
            total = RedeliveryResult(
                accounts=total.accounts + 1,
                read=total.read + seen.read,
                redelivered=total.redelivered + seen.redelivered,
            )
        return total

    async def _redeliver(self, account_id: str | None, since: datetime) -> RedeliveryResult:
        read = redelivered = 0
        newest_at: datetime | None = None
        batch: list[EventSeen] = []
        async for seen in self._balances.events(account_id, since):
            newest_at = max(newest_at or seen.created_at, seen.created_at)
            batch.append(seen)
            if len(batch) == _BATCH_SIZE:
                redelivered += await self._route(batch)
                read += len(batch)
                batch = []
        redelivered += await self._route(batch)
        return RedeliveryResult(read=read + len(batch), redelivered=redelivered, newest_at=newest_at)

    async def _route(self, seen: Sequence[EventSeen]) -> int:
        """Route those that were never received. Returns how many of them had a workflow."""
        activity.heartbeat()
        if not seen:
            return 0
        routed = 0
        for event in await stripe_events.not_received(self._engine, [each.event for each in seen]):
            routed += await self._router.route(event) is RoutingResult.ROUTED
            activity.heartbeat()
        return routed

    async def _accounts_to_read(self, started: ReconciliationStarted) -> list[_Account]:
        parameters: dict[str, Any] = {
            "recent_since": started.at - _RECENT,
            "daily": started.at - _DAILY,
            "ledger_after": started.ledger_after,
            "others": _OTHER_ACCOUNTS,
            "at": started.at,
        }
        async with transaction(self._engine) as session:
            found = await (await session.connection()).execute(text(_ACCOUNTS_TO_READ), parameters)
            return [_Account(*row) for row in found]

    async def _mark_read(self, account: _Account, started: ReconciliationStarted, newest_at: datetime | None) -> None:
        until = max(filter(None, (newest_at, account.events_until)), default=None)
        statement = (
            update(Instructor)
            .where(col(Instructor.id) == account.instructor_id)
            .values(events_until=until, reconciled_at=started.at)
        )
        async with transaction(self._engine) as session:
            await session.exec(statement)
