"""Which accounts' events a run reads."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.testing import ActivityEnvironment

from activities.reconciliation.redelivery import RedeliveryActivities
from models.domain.reconciliation import ReconciliationStarted
from models.domain.states import PayoutStatus
from models.tables.payments import InstructorPayout
from models.tables.people import Instructor
from tests.activities.bookings import NOW, Bookings
from tests.activities.reconciliation.stand_ins import CountingStripe, NothingOpen

OTHERS = 50
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
UNDER_WAY, PAID = {"status": PayoutStatus.PROCESSING}, {"status": PayoutStatus.PAID}


@pytest.mark.parametrize(
    ("read_ago", "payout", "is_read"),
    [
        (HOUR, PAID | {"paid_at": NOW - 2 * DAY}, False),
        (HOUR, PAID | {"paid_at": NOW - HOUR / 2}, True),
        (DAY + HOUR, PAID | {"paid_at": NOW - 2 * DAY}, True),
        (DAY + HOUR, PAID | {"paid_at": NOW - 8 * DAY}, False),
        (HOUR, UNDER_WAY, False),
        (HOUR, UNDER_WAY | {"updated_at": NOW - HOUR / 2}, True),
        (HOUR, UNDER_WAY | {"expected_at": NOW - HOUR / 2}, True),
        (HOUR, UNDER_WAY | {"expected_at": NOW + HOUR}, False),
        (DAY + HOUR, UNDER_WAY, True),
    ],
)
async def test_account_is_read_after_a_change_and_daily_while_something_may_happen(
    bookings: Bookings, read_ago: timedelta, payout: dict[str, Any], is_read: bool
) -> None:
    terms = await bookings.accepted()
    row: dict[str, Any] = {"updated_at": NOW - 2 * DAY, "created_at": NOW - 9 * DAY} | payout
    row |= {"amount_minor": 8_000, "platform_fee_minor": 2_000, "currency": "usd"}
    async with AsyncSession(bookings.engine) as session, session.begin():
        instructor = await session.get_one(Instructor, terms.instructor_id)
        instructor.stripe_account_id = f"acct_{uuid4()}"
        instructor.reconciled_at = NOW - read_ago
        session.add(InstructorPayout(booking_id=terms.booking_id, instructor_id=terms.instructor_id, **row))
        session.add_all(_idle(number) for number in range(OTHERS))
    # The ledger has changed before what the run reads.
    started = ReconciliationStarted(id=uuid4(), at=NOW, events_since=NOW, ledger_after=1_000, workflows_since=NOW)
    activities = RedeliveryActivities(bookings.engine, CountingStripe({}), NothingOpen())
    result = await ActivityEnvironment().run(activities.redeliver_account_events, started)
    assert result.accounts == OTHERS + is_read


def _idle(number: int) -> Instructor:
    """Of those who are read in turn: with an account that was not read for longer."""
    email, account = f"{number}@example.test", f"acct_{number}"
    long_ago = NOW - 30 * DAY
    return Instructor(email=email, name="Nadia", stripe_account_id=account, reconciled_at=long_ago, created_at=long_ago)
