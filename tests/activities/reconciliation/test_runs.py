"""What a finished run records and deletes, beside a run of the schedule's and one that an operator started."""

from datetime import timedelta
from uuid import uuid4

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.reconciliation import comparison
from activities.reconciliation.runs import ReconciliationActivities
from models.domain.actors import PLATFORM
from models.domain.money import Money
from models.domain.reconciliation import (
    MOST_DIFFERENCES,
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
from models.tables.reconciliation import Drift, Reconciliation
from models.tables.recordings import Recording
from tests.activities.bookings import NOW, Bookings

MINUTE = timedelta(minutes=1)


def finish(
    started: ReconciliationStarted, minute: int, *differences: Difference, omitted: int = 0
) -> FinishReconciliation:
    return FinishReconciliation(
        started=started,
        finished_at=NOW + minute * MINUTE,
        platform=RedeliveryResult(),
        connected=RedeliveryResult(),
        orphans=Orphans(workflows_checked=0, bookings=(), workflows_restarted=0),
        holds_released=0,
        compared=ComparisonResult(omitted=omitted),
        differences=differences,
    )


async def start(reconciliations: ReconciliationActivities, minute: int) -> ReconciliationStarted:
    message = StartReconciliation(id=uuid4(), by=PLATFORM, at=NOW + minute * MINUTE)
    return await reconciliations.start_reconciliation(message)


def difference(bookings: Bookings) -> Difference:
    return Difference(
        kind=DriftKind.BALANCE,
        subject=bookings.instructor_id,
        book=Book.CONNECTED_BALANCE,
        ledger=Money(amount_minor=4_000, currency="usd"),
        stripe=Money(amount_minor=0, currency="usd"),
    )


async def test_run_does_not_resolve_a_drift_that_a_concurrent_run_has_found(bookings: Bookings) -> None:
    """Each run compares only the accounts that the other has not read yet."""
    reconciliations, drift = ReconciliationActivities(bookings.engine), difference(bookings)
    slow, quick = await start(reconciliations, 0), await start(reconciliations, 1)
    await reconciliations.finish_reconciliation(finish(quick, 2, drift))
    await reconciliations.finish_reconciliation(finish(slow, 3))
    [found] = await bookings.all(Drift)
    assert found.resolved_at is None
    await reconciliations.finish_reconciliation(finish(await start(reconciliations, 4), 5))
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


async def test_run_that_omits_differences_counts_them_and_resolves_no_drift(bookings: Bookings) -> None:
    reconciliations = ReconciliationActivities(bookings.engine)
    first = await start(reconciliations, 0)
    await reconciliations.finish_reconciliation(finish(first, 1, difference(bookings)))
    cut = await start(reconciliations, 2)
    await reconciliations.finish_reconciliation(finish(cut, 3, omitted=7))
    [found] = await bookings.all(Drift)
    assert found.resolved_at is None
    assert (await bookings.get(Reconciliation, cut.id)).drifts_omitted == 7


def test_differences_beyond_the_most_that_are_listed_are_counted(bookings: Bookings) -> None:
    many = ComparisonResult(differences=(difference(bookings),) * 400)
    merged = comparison.merged(comparison.merged(many, many), many)
    assert (len(merged.differences), merged.omitted) == (MOST_DIFFERENCES, 700)
