"""A run's cost follows what has changed: it is the same with a hundred times as many bookings."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.testing import ActivityEnvironment

from activities.database import ledger
from activities.reconciliation.comparison import ComparisonActivities
from activities.reconciliation.executions import ExecutionActivities
from activities.reconciliation.orphans import OrphanActivities
from activities.reconciliation.redelivery import RedeliveryActivities
from activities.reconciliation.runs import ReconciliationActivities
from models.db import build_engine
from models.domain.actors import PLATFORM
from models.domain.ledger import Account, PostingKind, posting
from models.domain.reconciliation import (
    SEQUENCE_OVERLAP,
    FindOrphans,
    FinishReconciliation,
    StartReconciliation,
)
from models.tables.reconciliation import Reconciliation
from sandbox.stack.postgres import Postgres
from tests.activities.reconciliation.stand_ins import CountingStripe, NothingOpen, usd
from tests.databases import drop_database
from tests.many_bookings import create_with_bookings

_CHANGED = 50
"""Instructors, of one booking each of whom something has changed. Some of them have no bookings."""
_LONG_AGO = 60
"""Days, after which nothing is expected of a booking, a payout or an account any more."""

_CHANGES = """
SELECT DISTINCT ON (instructor) id, instructor_id FROM made
WHERE status = 'COMPLETED' AND instructor < :changed AND n % 100 <> 1 ORDER BY instructor, n DESC
"""
_ROWS_READ = "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables"
_SEQUENCE_AFTER = """
SELECT setval(pg_get_serial_sequence('ledger_transaction', 'seq'), max(seq) + :overlap) FROM ledger_transaction
"""


@dataclass(frozen=True)
class Cost:
    statements: int
    rows: int
    stripe_calls: Counter[str]
    bookings: int
    accounts: int


@pytest.mark.on_demand
@pytest.mark.timeout(600)
async def test_run_costs_the_same_with_a_hundred_times_as_many_bookings(
    postgres: Postgres, migrated_template: str
) -> None:
    costs = []
    for bookings in (1_000, 100_000):
        name = f"holdfast_reconciled_{bookings}"
        create_with_bookings(postgres, name, template=migrated_template, bookings=bookings, idle_days=_LONG_AGO)
        try:
            costs.append(await _cost(postgres.url(name)))
        finally:
            drop_database(postgres, name)
    few, many = costs
    assert (few.bookings, few.accounts) == (many.bookings, many.accounts)
    assert few.stripe_calls == many.stripe_calls
    assert few.statements == many.statements
    # The instructors, five times as many, are still so few that the accounts to read are chosen from all of them.
    assert many.rows < 2 * few.rows


async def _cost(url: str) -> Cost:
    engine = build_engine(url)
    stripe, temporal, statements = CountingStripe(await _balances(engine)), NothingOpen(), []
    await _change(engine)
    await engine.dispose()  # Statistics are complete once a connection has ended.
    before = await _rows_read(engine)
    event.listen(engine.sync_engine, "before_cursor_execute", lambda *of: statements.append(of[2]))
    run, now, environment = ReconciliationActivities(engine), datetime.now(UTC), ActivityEnvironment()
    start = StartReconciliation(id=uuid4(), by=PLATFORM, at=now)
    started = await environment.run(run.start_reconciliation, start)
    executions = await environment.run(ExecutionActivities(engine, temporal).compare_executions, started)
    redelivery = RedeliveryActivities(engine, stripe, temporal)
    platform = await environment.run(redelivery.redeliver_platform_events, started)
    connected = await environment.run(redelivery.redeliver_account_events, started)
    find = FindOrphans(started=started, unattended=executions.unattended)
    orphans = await environment.run(OrphanActivities(engine, temporal, temporal, None).find_orphans, find)
    compared = await environment.run(ComparisonActivities(engine, stripe).compare_books, started)
    finish = FinishReconciliation(
        started=started,
        finished_at=now + timedelta(minutes=1),
        platform=platform,
        connected=connected,
        orphans=orphans,
        holds_released=0,
        compared=compared,
        differences=compared.differences,
        workflows_failed=0,
    )
    await environment.run(run.finish_reconciliation, finish)
    sent = len(statements)
    await engine.dispose()
    rows = await _rows_read(engine) - before
    await engine.dispose()
    assert compared.differences == ()
    return Cost(sent, rows, stripe.calls, compared.bookings, connected.accounts)


async def _change(engine: AsyncEngine) -> None:
    """Post to the ledger for some bookings, long after the last run."""
    async with AsyncSession(engine) as session, session.begin():
        connection = await session.connection()
        seq = (await connection.execute(text(_SEQUENCE_AFTER), {"overlap": SEQUENCE_OVERLAP})).scalar_one()
        await connection.execute(text("UPDATE drift SET resolved_at = seen_at"))
        # Small tables are read as a whole, which is no measure for large ones.
        await connection.execute(text(f"ALTER DATABASE {engine.url.database} SET enable_seqscan = off"))
        now = datetime.now(UTC)
        run = Reconciliation(id=uuid4(), by_role=PLATFORM.role, started_at=now, finished_at=now, events_until=now)
        session.add(run.sqlmodel_update({"ledger_seq": seq}))
        for booking_id, instructor_id in await connection.execute(text(_CHANGES), {"changed": _CHANGED}):
            for kind, amount in ((PostingKind.HOLD_PLACED, usd(100)), (PostingKind.HOLD_ENDED, usd(-100))):
                lines = {Account.CARD_HOLDS: amount, Account.STUDENT_FUNDS_HELD: -amount}
                await ledger.post(
                    session, datetime.now(UTC), posting(kind, f"{booking_id} again", booking_id, instructor_id, lines)
                )


async def _balances(engine: AsyncEngine) -> dict[str, dict[str, int]]:
    query = """
        SELECT stripe_account_id, currency, amount_minor
        FROM instructor_balance JOIN instructor ON instructor.id = instructor_id
    """
    async with engine.connect() as connection:
        return {account: {currency: amount} for account, currency, amount in await connection.execute(text(query))}


async def _rows_read(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        return int((await connection.execute(text(_ROWS_READ))).scalar_one())
