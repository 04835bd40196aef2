"""What two reconciliations at once write down: the schedule's, and one that an operator has ordered."""

from datetime import timedelta
from uuid import uuid4

from activities.reconciliation.runs import ReconciliationActivities
from models.domain.actors import PLATFORM
from models.domain.money import Money
from models.domain.reconciliation import (
    Book,
    Compared,
    Difference,
    DriftKind,
    FinishReconciliation,
    Orphans,
    ReconciliationStarted,
    Redelivered,
    StartReconciliation,
)
from models.tables.reconciliation import Drift
from tests.activities.bookings import NOW, Bookings

MINUTE = timedelta(minutes=1)


def finish(started: ReconciliationStarted, minute: int, *differences: Difference) -> FinishReconciliation:
    return FinishReconciliation(
        started=started,
        finished_at=NOW + minute * MINUTE,
        platform=Redelivered(),
        connected=Redelivered(),
        orphans=Orphans(workflows_checked=0, bookings=(), looks_ordered=0),
        holds_released=0,
        compared=Compared(),
        differences=differences,
    )


async def test_a_run_does_not_take_for_gone_what_another_has_found_meanwhile(bookings: Bookings) -> None:
    """Each looks at the accounts that the other has not come to."""
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
    [gone] = await bookings.all(Drift)
    assert gone.resolved_at == NOW + 5 * MINUTE
