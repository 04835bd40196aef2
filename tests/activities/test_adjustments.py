"""An adjustment whose answer is lost is posted once, and answered as the first time."""

from uuid import uuid4

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.testing import ActivityEnvironment

from activities.adjustments import AdjustmentActivities
from activities.reconciliation import amounts
from models.domain.actors import PLATFORM, Actor, Role
from models.domain.adjustments import AdjustmentOrder, RecordAdjustment
from models.domain.money import Money
from models.domain.reconciliation import Book, Difference, DriftKind
from models.tables.reconciliation import Drift, Reconciliation
from tests.activities.bookings import NOW, Bookings


def usd(amount_minor: int) -> Money:
    return Money(amount_minor=amount_minor, currency="usd")


async def test_repeated_adjustment_is_posted_once(bookings: Bookings) -> None:
    instructor_id = (await bookings.accepted()).instructor_id
    run = Reconciliation(id=uuid4(), by_role=PLATFORM.role, started_at=NOW)
    drift = Drift(
        id=uuid4(), kind=DriftKind.BALANCE, instructor_id=instructor_id, book=Book.CONNECTED_BALANCE, currency="usd",
        ledger_minor=0, stripe_minor=500, reconciliation_id=run.id, found_at=NOW, seen_at=NOW,
    )  # fmt: skip
    order = AdjustmentOrder(instructor_id=instructor_id, drift_id=drift.id, actor=Actor(role=Role.OPERATOR, id=uuid4()))
    async with AsyncSession(bookings.engine, expire_on_commit=False) as session:
        session.add(run)
        await session.flush()
        session.add(drift)
        await session.commit()
    found = Difference(
        kind=DriftKind.BALANCE, subject=instructor_id, book=Book.CONNECTED_BALANCE, ledger=usd(0), stripe=usd(500)
    )
    message = RecordAdjustment(order=order, differences=(found,), at=NOW)
    record = AdjustmentActivities(bookings.engine).record_adjustment
    first, again = [await ActivityEnvironment().run(record, message) for _ in range(2)]
    assert (first, first.drift_ids, first.refusal) == (again, (drift.id,), None)
    async with AsyncSession(bookings.engine) as session:
        assert await amounts.instructor_balances(session, [instructor_id]) == {(instructor_id, "usd"): 500}
