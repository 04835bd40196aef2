"""What two reconciliations at once write down: the schedule's, and one that an operator has ordered."""

from datetime import timedelta
from uuid import uuid4

from activities.reconciliation.runs import ReconciliationActivities
from models.domain.actors import PLATFORM
from models.domain.money import Money
from models.domain.reconciliation import (
    BeginReconciliation,
    Begun,
    Book,
    Compared,
    Difference,
    DriftKind,
    FinishReconciliation,
    Redelivered,
    Unowned,
)
from models.tables.reconciliation import Drift
from tests.activities.bookings import NOW, Bookings

MINUTE = timedelta(minutes=1)


def finish(begun: Begun, minute: int, *differences: Difference) -> FinishReconciliation:
    return FinishReconciliation(
        begun=begun,
        finished_at=NOW + minute * MINUTE,
        platform=Redelivered(),
        connected=Redelivered(),
        unowned=Unowned(workflows_checked=0, bookings=(), looks_ordered=0),
        holds_released=0,
        compared=Compared(),
        differences=differences,
    )


async def test_a_run_does_not_take_for_gone_what_another_has_found_meanwhile(bookings: Bookings) -> None:
    """Each looks at the accounts that the other has not come to."""
    reconciliations = ReconciliationActivities(bookings.engine)

    async def begun(minute: int) -> Begun:
        return await reconciliations.begin(BeginReconciliation(id=uuid4(), by=PLATFORM, at=NOW + minute * MINUTE))

    drift = Difference(
        kind=DriftKind.BALANCE,
        subject=bookings.instructor_id,
        book=Book.CONNECTED_BALANCE,
        ledger=Money(amount_minor=4_000, currency="usd"),
        stripe=Money(amount_minor=0, currency="usd"),
    )
    slow, quick = await begun(0), await begun(1)
    await reconciliations.finish(finish(quick, 2, drift))
    await reconciliations.finish(finish(slow, 3))
    [found] = await bookings.all(Drift)
    assert found.resolved_at is None
    await reconciliations.finish(finish(await begun(4), 5))
    [gone] = await bookings.all(Drift)
    assert gone.resolved_at == NOW + 5 * MINUTE
