"""Activities that record a reconciliation run: where it starts reading, what it compared, and the drifts it found."""

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select, update
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.database import attention, audit, recordings, stripe_events
from activities.database.transactions import transaction
from models.domain.actors import PLATFORM, Subject
from models.domain.ids import drift_id
from models.domain.messages import Channel
from models.domain.reconciliation import (
    EVENT_RETENTION,
    OVERLAP,
    SEQUENCE_OVERLAP,
    Difference,
    FinishReconciliation,
    ReconciliationStarted,
    StartReconciliation,
)
from models.tables.audit import AuditEvent, event_about
from models.tables.bookings import BookingRequest
from models.tables.reconciliation import Drift, Reconciliation


class ReconciliationActivities:
    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @activity.defn
    async def start_reconciliation(self, message: StartReconciliation) -> ReconciliationStarted:
        """Continue where the last finished run stopped. The first run reads all that Stripe still lists."""
        last = (
            select(Reconciliation)
            .where(col(Reconciliation.finished_at).is_not(None))
            .order_by(col(Reconciliation.finished_at).desc())
            .limit(1)
        )
        row = Reconciliation(id=message.id, by_role=message.by.role, by_id=message.by.id, started_at=message.at)
        async with transaction(self._engine) as session:
            previous = (await session.exec(last)).first()
            await session.exec(insert(Reconciliation).values(row.model_dump()).on_conflict_do_nothing())
        oldest = message.at - EVENT_RETENTION
        return ReconciliationStarted(
            id=message.id,
            at=message.at,
            events_since=previous.events_until - OVERLAP if previous and previous.events_until else oldest,
            ledger_after=max(previous.ledger_seq - SEQUENCE_OVERLAP, 0) if previous else 0,
            workflows_since=previous.started_at - OVERLAP if previous else oldest,
        )

    @activity.defn
    async def finish_reconciliation(self, message: FinishReconciliation) -> None:
        """Record the run's figures, its drifts and which earlier drifts are resolved."""
        async with transaction(self._engine) as session:
            row = await session.get_one(Reconciliation, message.started.id, with_for_update=True)
            if row.finished_at is not None:
                return
            _fill(row, message)
            for difference in message.differences:
                await _record_drift(session, message, difference)
            # A drift that is missing from a list that was cut off may still be there.
            if not message.compared.omitted:
                await _resolve(session, message)
            await stripe_events.delete_old(session, message.finished_at)
            await recordings.delete_expired(session, message.finished_at)
            await audit.append(session, _finished_event(message))


def _fill(row: Reconciliation, message: FinishReconciliation) -> None:
    platform, connected, compared = message.platform, message.connected, message.compared
    row.finished_at = message.finished_at
    row.accounts_read = connected.accounts
    row.events_read = platform.read + connected.read
    row.events_redelivered = platform.redelivered + connected.redelivered
    row.workflows_checked = message.orphans.workflows_checked
    row.holds_released = message.holds_released
    row.workflows_failed = message.workflows_failed
    row.balance_transactions_read = compared.balance_transactions
    row.transactions_read = compared.transactions
    row.bookings_compared = compared.bookings
    row.balances_compared = compared.balances
    row.fees_booked = compared.fees_booked
    row.drifts = len(message.differences)
    row.drifts_omitted = compared.omitted
    row.totals = [total.model_dump(mode="json") for total in compared.totals]
    # If nothing new was read, the next run starts where this one did.
    read_until = (platform.newest_at, compared.newest_at, message.started.events_since + OVERLAP)
    row.events_until = max(filter(None, read_until))
    row.ledger_seq = compared.ledger_seq


async def _record_drift(session: AsyncSession, message: FinishReconciliation, difference: Difference) -> None:
    drift = Drift(
        id=drift_id(difference.kind, difference.subject, difference.book, difference.ledger.currency),
        kind=difference.kind,
        booking_id=difference.booking_id,
        instructor_id=difference.subject if difference.booking_id is None else None,
        book=difference.book,
        currency=difference.ledger.currency,
        ledger_minor=difference.ledger.amount_minor,
        stripe_minor=difference.stripe.amount_minor,
        detail=difference.detail,
        reconciliation_id=message.started.id,
        found_at=message.finished_at,
        seen_at=message.finished_at,
    )
    known = await session.get(Drift, drift.id, with_for_update=True)
    if known is None:
        session.add(drift)
    else:
        found_at = known.found_at if known.resolved_at is None else drift.found_at
        known.sqlmodel_update(drift.model_dump(exclude={"id", "found_at"}) | {"found_at": found_at})
        known.resolved_at = None
    if difference.booking_id:
        booking = await session.get(BookingRequest, difference.booking_id, with_for_update=True)
        if booking is not None:
            await attention.refresh(session, booking, message.finished_at)


async def _resolve(session: AsyncSession, message: FinishReconciliation) -> None:
    """Resolve open drifts that this run has not found, unless a concurrent run has seen them since it started."""
    resolved = (
        update(Drift)
        .where(
            col(Drift.resolved_at).is_(None),
            col(Drift.reconciliation_id) != message.started.id,
            col(Drift.seen_at) <= message.started.at,
        )
        .values(resolved_at=message.finished_at)
        .returning(col(Drift.booking_id))
    )
    for id in sorted({id for (id,) in await session.exec(resolved) if id}):
        booking = await session.get(BookingRequest, id, with_for_update=True)
        if booking is not None:
            await attention.refresh(session, booking, message.finished_at)


def _finished_event(message: FinishReconciliation) -> AuditEvent:
    detail = {
        "events_redelivered": message.platform.redelivered + message.connected.redelivered,
        "holds_released": message.holds_released,
        "drifts": len(message.differences),
    }
    return event_about(
        Subject.RECONCILIATION, message.started.id, "reconciliation.finished", PLATFORM, Channel.WORKFLOW,
        message.finished_at, detail,
    )  # fmt: skip
