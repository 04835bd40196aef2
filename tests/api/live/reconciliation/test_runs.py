"""What a reconciliation finds besides lost events, and what it reports."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client, ScheduleActionStartWorkflow
from temporalio.service import RPCError

from activities.database import ledger
from models.domain.ledger import Account, PostingKind, posting
from models.domain.money import Money
from models.tables.audit import AuditEvent
from models.tables.payments import Payment
from sandbox.browser.checkout_page import GOOD_CARD, pay
from tests.api.live.journey import REASON, order
from tests.api.live.reconciliation.steps import booked, held, settled, shown, until, usd
from tests.api.live.reconciliation.stripe_side import DAY_SECONDS, StripeSide
from tests.api.scraping import scrape
from workflows.client.schedules import RECONCILIATION_SCHEDULE, SWEEP_SCHEDULE, create_schedules

# The Stripe SDK's own use of httpx.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
    pytest.mark.usefixtures("worker"),
]


async def test_clean_run_reports_what_it_compared(app: FastAPI, stripe_side: StripeSide) -> None:
    await settled(stripe_side)
    await held(stripe_side)
    await stripe_side.deliver()
    await stripe_side.reconcile()
    run = await stripe_side.reconcile()
    assert (run["by"], run["events_redelivered"], run["holds_released"], run["drifts"]) == ("operator", 0, 0, 0)
    assert (run["bookings_compared"], run["balances_compared"], run["accounts_read"]) == (2, 1, 1)
    assert run["events_read"] >= 2
    assert run["balance_transactions_read"] >= 3
    assert run["transactions_read"] >= 6
    assert {total["book"]: (total["ledger"], total["stripe"]) for total in run["totals"]} == {
        "card_holds": (usd(10_000), usd(10_000)),
        "stripe_balance": (usd(1_680), usd(1_680)),
        "transfers": (usd(8_000), usd(8_000)),
        "connected_balance": (usd(8_000), usd(8_000)),
    }
    metrics = await scrape(app)
    assert "holdfast_reconciliation_bookings_compared 2.0" in metrics
    assert await stripe_side.drifts() == []


async def test_run_continues_where_the_last_one_ended(stripe_side: StripeSide) -> None:
    """What is older than the overlap is not read again."""
    await settled(stripe_side)
    await stripe_side.reconcile()
    await stripe_side.wait(2 * 3_600)
    created = await booked_at_stripe_alone(stripe_side)
    second = await stripe_side.reconcile()
    await stripe_side.wait(2 * 3_600)
    third = await stripe_side.reconcile()
    assert second["balance_transactions_read"] > third["balance_transactions_read"]
    assert created


async def booked_at_stripe_alone(stripe_side: StripeSide) -> str:
    """Another program's charge."""
    intent = await stripe_side.stripe.v1.payment_intents.create_async(
        {
            "amount": 700,
            "currency": "usd",
            "payment_method": "pm_card_visa",
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "confirm": True,
        }
    )
    return intent.id


async def test_charge_without_booking_is_no_drift(stripe_side: StripeSide) -> None:
    await booked_at_stripe_alone(stripe_side)
    run = await stripe_side.reconcile()
    assert (run["balance_transactions_read"], run["bookings_compared"], run["drifts"]) == (1, 0, 0)


async def test_unrecorded_movement_is_drift_with_its_amount(app: FastAPI, stripe_side: StripeSide) -> None:
    booking_id = await settled(stripe_side)
    charge = await stripe_side.stripe.v1.charges.retrieve_async(
        str((await stripe_side.intent(booking_id)).latest_charge)
    )
    await stripe_side.stripe.v1.transfers.reversals.create_async(str(charge.transfer), {"amount": 4_000})
    await stripe_side.deliver()
    run = await stripe_side.reconcile()
    drifts = await stripe_side.drifts(open="true")
    assert {(each["kind"], each["book"], each["difference"]["amount_minor"]) for each in drifts} == {
        ("booking", "stripe_balance", -4_000),
        ("booking", "transfers", 4_000),
        ("balance", "connected_balance", 4_000),
    }
    assert run["drifts"] == 3
    seen = (await shown(stripe_side, booking_id)).json()
    assert seen["needs_attention"]
    assert "in the ledger and" in seen["attention_reason"]
    metrics = await scrape(app)
    assert 'holdfast_drift_minor{book="stripe_balance",currency="usd",kind="booking"} 4000.0' in metrics

    await write_reversal(stripe_side, booking_id)
    assert (await stripe_side.reconcile())["drifts"] == 0
    assert await stripe_side.drifts(open="true") == []
    assert len(await stripe_side.drifts(open="false")) == 3
    assert (await shown(stripe_side, booking_id)).json()["needs_attention"] is False


async def write_reversal(stripe_side: StripeSide, booking_id: str) -> None:
    """In the ledger as it should have been."""
    back = Money(amount_minor=4_000, currency="usd")
    lines = {Account.STRIPE_BALANCE: back, Account.CONNECTED_BALANCE: -back}
    reversed_ = posting(
        PostingKind.TRANSFER_REVERSED, "trr_1", UUID(booking_id), stripe_side.world.instructor.id, lines
    )
    async with AsyncSession(stripe_side.world.engine) as session, session.begin():
        await ledger.post(session, datetime.now(UTC), reversed_)


async def test_booking_completes_without_any_webhook(stripe_side: StripeSide) -> None:
    """The reconciliation alone brings it to the same end as the webhooks would have."""
    created = await booked(stripe_side)
    assert await pay(created["checkout_url"], GOOD_CARD)
    assert (await stripe_side.reconcile())["events_redelivered"] >= 1
    await until(stripe_side, created["id"], lambda shown: shown["payment"] is not None)
    approve = f"/v1/bookings/{created['id']}/approve"
    assert (await stripe_side.client.post(approve, headers=stripe_side.world.instructor.headers)).status_code == 200
    settlement = await order(stripe_side.client, stripe_side.world.operator, created["id"], "settle", REASON)
    assert settlement.status_code == 200
    await stripe_side.wait(5 * DAY_SECONDS)
    run = await stripe_side.reconcile()
    seen = await until(stripe_side, created["id"], lambda shown: shown["payout"]["status"] == "PAID")
    assert (seen["status"], seen["payment"]["status"], run["drifts"]) == ("COMPLETED", "CAPTURED", 0)
    assert run["holds_released"] == 0
    async with AsyncSession(stripe_side.world.engine) as session:
        assert (await session.get_one(Payment, UUID(created["id"]))).captured_minor == 10_000


async def test_ordered_run_is_audited_and_joins_a_running_one(stripe_side: StripeSide) -> None:
    run = await stripe_side.reconcile()
    query = select(AuditEvent.action, AuditEvent.actor_id).where(col(AuditEvent.subject_id) == UUID(run["id"]))
    async with AsyncSession(stripe_side.world.engine) as session:
        assert set(await session.exec(query)) == {
            ("reconciliation.ordered", stripe_side.world.operator.id),
            ("reconciliation.finished", None),
        }
    listed = await stripe_side.client.get("/v1/operator/reconciliations", headers=stripe_side.world.operator.headers)
    assert [each["id"] for each in listed.json()["data"]] == [run["id"]]


@pytest.mark.parametrize(
    ("id", "workflow", "every"),
    [
        (RECONCILIATION_SCHEDULE, "Reconciliation", timedelta(hours=1)),
        (SWEEP_SCHEDULE, "OrphanSweep", timedelta(minutes=1)),
    ],
)
async def test_schedule_is_created_once_and_stays_paused(
    temporal: Client, task_queue: str, id: str, workflow: str, every: timedelta
) -> None:
    schedule = temporal.get_schedule_handle(id)
    try:
        await create_schedules(temporal, "another-queue")
        await schedule.pause()
        await create_schedules(temporal, task_queue)
        description = await schedule.describe()
        action = description.schedule.action
        assert isinstance(action, ScheduleActionStartWorkflow)
        assert (action.workflow, action.task_queue) == (workflow, task_queue)
        assert [interval.every for interval in description.schedule.spec.intervals] == [every]
        assert description.schedule.state.paused
    finally:
        for each in (RECONCILIATION_SCHEDULE, SWEEP_SCHEDULE):
            await temporal.get_schedule_handle(each).delete()
    with pytest.raises(RPCError):
        await schedule.describe()
