"""`./run restore`: after a loss of Postgres, of Temporal or of both, nothing is lost and no money moves twice."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WorkflowExecutionStatus

from activities.stripe.client import stripe_client
from models.domain.messages import Cancel, Settle
from models.domain.states import BookingStatus, PaymentStatus, RefundStatus
from models.tables.refunds import Refund
from sandbox.stack.commands import Command, run_to_end
from sandbox.stack.environment import PROJECT_ROOT, child_environment, python
from tests.conftest import StripeSandbox
from tests.own_stripe import own_sandbox
from tests.workflows.booking.endings import moved_and_cancelled
from tests.workflows.losses import Backup, World, differences
from tests.workflows.refund_steps import (
    REFUND_PENDING_CARD,
    act_at_the_bank,
    notify_refund,
    refund_booking,
    stored_refund,
)
from tests.workflows.resets import OPERATOR, settled
from tests.workflows.saga import QUEUE, Booked, Saga
from tests.workflows.stories.disputes import dispute_won
from tests.workflows.stories.onboarding import account_created
from workflows.booking.workflow import BookingWorkflow

pytestmark = pytest.mark.timeout(180)

SETTLE = Settle(actor=OPERATOR, has_reason=True)

LOST = {
    # Numbers in the order of writing, and random ids and rooms.
    "audit_event": {"seq", "rows missing: 2"},
    "ledger_transaction": {"seq"},
    "instructor_payout": {"id"},
    "live_session": {"id", "room"},
    "former_room": {"rows missing: 1", "rows added: 1"},
    # What nobody but Postgres knew of what is newer than the backup. People choose a new password.
    "student": {"created_at"},
    "instructor": {"created_at", "email", "name", "transfers", "onboarding_url", "onboarding_url_expires_at"},
    "credential": {"rows added: 9"},
    "offering": {"created_at"},
    "refund": {"created_at", "ordered_by", "reason"},
    "reschedule_proposal": {"created_at"},
}
"""The columns that are other than before. A seeded instructor has another address than their account at Stripe, and the
two audit rows are of an onboarding: its account and its link."""


@pytest.fixture
async def stripe_sandbox() -> AsyncIterator[StripeSandbox]:
    async with own_sandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def world(engine: AsyncEngine, stripe_sandbox: StripeSandbox, tmp_path: Path) -> AsyncIterator[World]:
    async with stripe_client(stripe_sandbox.key, stripe_sandbox.url) as client:
        world = World(tmp_path, engine, client, stripe_sandbox.url)
        await world.start()
        try:
            yield world
        finally:
            await world.stop()


async def test_postgres_of_an_hour_ago_gets_what_workflows_have_written_since(world: World, database_url: str) -> None:
    saga = world.saga
    approved, ended = await saga.paid(), await saga.accepted()
    refunded = await settled(saga, REFUND_PENDING_CARD)
    backup = Backup(database_url)
    await approved.approve()
    await ended.handle.execute_update(BookingWorkflow.settle, SETTLE)
    await refund_booking(saga, refunded, 4_000)
    new, given_up = await saga.accepted(), await saga.booked()
    await asyncio.gather(*(play(saga) for play in (moved_and_cancelled, dispute_won, account_created)))
    await given_up.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=given_up.student))
    await saga.workers.stop()
    before, money = await world.rows(), await world.payments()

    backup.restore()
    assert await world.rows() != before
    assert await world.restore.records(backup.at)
    assert differences(before, await world.rows()) == LOST
    assert await world.payments() == money

    await saga.workers.start()
    assert (await world.reconciled()).drifts == 0
    await new.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=new.student))
    await approved.handle.execute_update(BookingWorkflow.settle, SETTLE)
    for booked, status in ((new, BookingStatus.CANCELLED), (approved, BookingStatus.COMPLETED)):
        assert await status_of(booked) is status
    assert [(await each.figures()).student_paid_minor for each in (new, ended, approved, refunded)] == [
        *(0, 10_000, 10_000, 6_000)
    ]


async def test_lost_temporal_is_replaced_by_an_empty_one_whose_bookings_go_on_from_the_records(world: World) -> None:
    saga = world.saga
    unpaid, paid, accepted = await saga.booked(), await saga.paid(), await saga.accepted()
    refunded = await settled(saga, REFUND_PENDING_CARD)
    refund = await refund_booking(saga, refunded, 4_000)
    assert refund.status is RefundStatus.PENDING
    await saga.workers.stop()
    money = await world.payments()

    await world.replace_temporal(None)
    assert await world.restore.workflows(datetime.now(UTC))
    await world.saga.workers.start()
    assert (await world.reconciled()).drifts == 0
    assert await world.payments() == money

    unpaid, paid, accepted = (world.again(each) for each in (unpaid, paid, accepted))
    await unpaid.pay()
    await world.saga.until_stored(unpaid, PaymentStatus.PENDING)
    for booked in (unpaid, paid):
        await booked.approve()
    for booked in (unpaid, paid, accepted):
        await booked.handle.execute_update(BookingWorkflow.settle, SETTLE)
    assert [(await each.figures()).student_paid_minor for each in (unpaid, paid, accepted, refunded)] == [
        *(10_000, 10_000, 10_000, 6_000)
    ]
    [row] = await refunds_of(world.saga, refunded)
    await act_at_the_bank(world.saga, row.stripe_refund_id or "", "succeed")
    await (await notify_refund(world.saga, row.id)).result()
    assert (await stored_refund(world.saga, row.id)).status is RefundStatus.SUCCEEDED


async def test_bookings_that_are_newer_than_both_backups_are_ended_as_stripe_has_them(
    world: World, database_url: str
) -> None:
    saga = world.saga
    ended = await saga.paid()
    postgres = Backup(database_url)
    await ended.approve()
    waiting = await saga.paid()
    await world.back_up_temporal("backup")
    ended, waiting = world.again(ended), world.again(waiting)
    await ended.handle.execute_update(BookingWorkflow.settle, SETTLE)
    await waiting.approve()
    unknown, unpaid = await world.saga.accepted(), await world.saga.booked()

    await world.replace_temporal("backup")
    postgres.restore()
    assert await world.restore.records(postgres.at)
    assert await world.restore.workflows(postgres.at)
    assert not await world.restore.payments(postgres.at, is_releasing=False)
    assert (await unknown.figures()).student_paid_minor == 0
    assert await world.restore.payments(postgres.at, is_releasing=True)
    await world.saga.workers.start()
    assert (await world.reconciled()).holds_released == 1

    ended, waiting = world.again(ended), world.again(waiting)
    assert await status_of(ended) is BookingStatus.COMPLETED
    assert await payment_statuses(unknown, unpaid, ended, waiting) == [
        *("canceled", None, "succeeded", "requires_capture")
    ]
    # The approval is in neither backup.
    await waiting.approve()
    await waiting.handle.execute_update(BookingWorkflow.settle, SETTLE)
    assert (await waiting.figures()).student_paid_minor == 10_000
    await world.restore.payments(postgres.at, is_releasing=False)
    assert (await world.reconciled()).drifts == 0


async def test_temporal_that_is_older_than_postgres_catches_up_with_it(
    world: World, program_url: str, stripe_sandbox: StripeSandbox
) -> None:
    saga = world.saga
    accepted, ended = await saga.paid(), await saga.paid()
    await world.back_up_temporal("backup")
    since = datetime.now(UTC)
    accepted, ended = world.again(accepted), world.again(ended)
    await accepted.approve()
    await ended.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=ended.student))
    new = await world.saga.paid()
    await world.saga.workers.stop()
    money = await world.payments()

    await world.replace_temporal("backup")
    settings = {
        "HOLDFAST_ENV": "development",
        "DATABASE_URL": program_url,
        "HOLDFAST_TASK_QUEUE": QUEUE,
        "STRIPE_API_BASE": stripe_sandbox.url,
        "STRIPE_API_KEY": stripe_sandbox.key,
        "TEMPORAL_ADDRESS": world.temporal_address,
    }
    restore = python(str(PROJECT_ROOT / "restore.py"), "workflows", "--since", since.isoformat())
    command = Command(argv=restore, env=child_environment(settings), cwd=PROJECT_ROOT)
    assert (await run_to_end("restore", command)).splitlines() == [
        "2 bookings and 0 refunds, disputes and payouts go on from their records.",
        "0 bookings have ended at Stripe: the reconciliation records how.",
        "0 events of Stripe's are delivered again.",
    ]
    await world.saga.workers.start()
    assert (await world.reconciled()).drifts == 0
    assert await world.payments() == money
    assert (await world.again(ended).handle.describe()).status is WorkflowExecutionStatus.TERMINATED
    new = world.again(new)
    await new.approve()
    for booked in (world.again(accepted), new):
        await booked.handle.execute_update(BookingWorkflow.settle, SETTLE)
        assert (await booked.figures()).student_paid_minor == 10_000


async def status_of(booked: Booked) -> BookingStatus | None:
    request = await booked.request()
    return request.status if request else None


async def payment_statuses(*bookings: Booked) -> list[str | None]:
    return [intent.status if (intent := await each.payment_intent()) else None for each in bookings]


async def refunds_of(saga: Saga, booked: Booked) -> Sequence[Refund]:
    async with AsyncSession(saga.engine) as session:
        query = select(Refund).where(col(Refund.booking_id) == booked.order.terms.booking_id)
        return (await session.exec(query)).all()
