"""What a finished run records and deletes, beside a run of the schedule's and one that an operator started."""

from datetime import timedelta
from uuid import uuid4

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.reconciliation.runs import ReconciliationActivities
from models.domain.actors import PLATFORM
from models.domain.money import Money
from models.domain.reconciliation import (
    Book,
    ComparisonResult,
    Difference,
    DriftKind,
    FinishReconciliation,
    Orphans,
    ReconciliationStarted,
    RedeliveryResult,
    StartReconciliation,
)
from models.tables.reconciliation import Drift
from models.tables.recordings import Recording
from tests.activities.bookings import NOW, Bookings

MINUTE = timedelta(minutes=1)


def finish(started: ReconciliationStarted, minute: int, *differences: Difference) -> FinishReconciliation:
    return FinishReconciliation(
        started=started,
        finished_at=NOW + minute * MINUTE,
        platform=RedeliveryResult(),
        connected=RedeliveryResult(),
        orphans=Orphans(workflows_checked=0, bookings=(), workflows_restarted=0),
        holds_released=0,
        compared=ComparisonResult(),
        differences=differences,
    )


async def test_run_does_not_resolve_a_drift_that_a_concurrent_run_has_found(bookings: Bookings) -> None:
    """Each run compares only the accounts that the other has not read yet."""
    reconciliations = ReconciliationActivities(bookings.engine)

    async def start(minute: int) -> ReconciliationStarted:
        return await reconciliations.start_reconciliation(
            StartReconciliation(id=uuid4(), by=PLATFORM, at=NOW + minute * MINUTE)
        )

    drift = Difference(
        kind=DriftKind.BALANCE,
        subject=bookings.instructor_id,
        book=Book.CONNECTED_BALANCE,
        ledger=Money(amount_minor=4_000, currency="usd"),
        stripe=Money(amount_minor=0, currency="usd"),
    )
    slow, quick = await start(0), await start(1)
    await reconciliations.finish_reconciliation(finish(quick, 2, drift))
    await reconciliations.finish_reconciliation(finish(slow, 3))
    [found] = await bookings.all(Drift)
    assert found.resolved_at is None
    await reconciliations.finish_reconciliation(finish(await start(4), 5))
    [resolved] = await bookings.all(Drift)
    assert resolved.resolved_at == NOW + 5 * MINUTE


async def test_run_deletes_the_links_to_recordings_that_have_expired(bookings: Bookings) -> None:
    terms = await bookings.reserved()
    async with AsyncSession(bookings.engine) as session, session.begin():
        for name, expires_at in (("old", NOW + MINUTE), ("new", NOW + 2 * MINUTE)):
            url = f"https://recordings.test/{name}"
            session.add(
                Recording(id=name, booking_id=terms.booking_id, url=url, uploaded_at=NOW, expires_at=expires_at)
            )
    reconciliations = ReconciliationActivities(bookings.engine)
    started = await reconciliations.start_reconciliation(StartReconciliation(id=uuid4(), by=PLATFORM, at=NOW))
    await reconciliations.finish_reconciliation(finish(started, 1))
    assert [recording.id for recording in await bookings.all(Recording)] == ["new"]
