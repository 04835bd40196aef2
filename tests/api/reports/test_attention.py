"""The gauges of what waits for an operator or a worker."""

import asyncio
import math
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from api.reports.attention import TaskQueueGauges
from models.domain.attention import AttentionKind
from models.domain.notifications import NotificationKind, Recipient
from models.domain.policy import PaymentPlan
from models.domain.reconciliation import ReconciliationOrder
from models.domain.states import PaymentStatus
from models.tables.bookings import BookingRequest
from models.tables.outbox import OutboxMessage
from models.tables.payments import Payment
from tests.api.scraping import scrape
from tests.api.world import World
from workflows.reconciliation import ReconciliationWorkflow

NOW = datetime.now(UTC).replace(microsecond=0)


async def _gauges(app: FastAPI) -> dict[tuple[str, str | None], float]:
    """By name and `kind`."""
    families = text_string_to_metric_families(await scrape(app))
    return {
        (sample.name, sample.labels.get("kind")): sample.value
        for family in families
        if family.type == "gauge"
        for sample in family.samples
    }


async def test_bookings_that_need_attention_are_counted_by_kind_with_the_longest_wait(
    app: FastAPI, world: World
) -> None:
    declined, lost = "settle_payment: declined: charge_expired_for_capture", "the hold is gone"
    for minutes, reason in ((30, declined), (5, declined), (7, lost)):
        booking_id = await world.booking(await world.slot(timedelta(days=minutes)))
        async with AsyncSession(world.engine) as session, session.begin():
            booking = await session.get_one(BookingRequest, booking_id)
            booking.call_attention(reason, NOW - timedelta(minutes=minutes))
            booking.call_attention(reason, NOW)  # again
    gauges = await _gauges(app)
    count, since = "holdfast_bookings_needing_attention", "holdfast_attention_since_timestamp_seconds"
    assert gauges[count, AttentionKind.CAPTURE_FAILED] == 2
    assert gauges[since, AttentionKind.CAPTURE_FAILED] == (NOW - timedelta(minutes=30)).timestamp()
    assert gauges[count, AttentionKind.HOLD_LOST] == 1
    assert {kind for name, kind in gauges if name == count} == set(AttentionKind)
    assert {kind for name, kind in gauges if name == since} == {AttentionKind.CAPTURE_FAILED, AttentionKind.HOLD_LOST}


async def test_next_hold_end_is_that_of_held_payments(app: FastAPI, world: World) -> None:
    for hours, status in ((1, PaymentStatus.CAPTURED), (5, PaymentStatus.PENDING), (9, PaymentStatus.PENDING)):
        await world.add(
            Payment(
                booking_id=uuid4(),
                plan=PaymentPlan.HOLD,
                status=status,
                amount_minor=10_000,
                captured_minor=10_000 if status is PaymentStatus.CAPTURED else 0,
                currency="usd",
                hold_ends_at=NOW + timedelta(hours=hours),
                created_at=NOW,
                updated_at=NOW,
            )
        )
    ends_at = (await _gauges(app))["holdfast_next_hold_end_timestamp_seconds", None]
    assert ends_at == (NOW + timedelta(hours=5)).timestamp()


async def test_outbox_gauge_is_the_oldest_open_mail(app: FastAPI, world: World) -> None:
    for minutes, sent_at in ((90, NOW), (20, None), (3, None)):
        due_at = NOW - timedelta(minutes=minutes)
        await world.add(
            OutboxMessage(
                id=uuid4(),
                booking_id=uuid4(),
                kind=NotificationKind.APPROVED,
                recipient_role=Recipient.STUDENT,
                recipient_id=uuid4(),
                due_at=due_at,
                next_attempt_at=NOW + timedelta(minutes=5),
                sent_at=sent_at,
                created_at=due_at,
            )
        )
    shown = (await _gauges(app))["holdfast_outbox_oldest_due_timestamp_seconds", None]
    assert shown == (NOW - timedelta(minutes=20)).timestamp()


async def test_gauges_without_a_value_are_not_a_number(app: FastAPI, world: World) -> None:
    gauges = await _gauges(app)
    assert math.isnan(gauges["holdfast_next_hold_end_timestamp_seconds", None])
    assert math.isnan(gauges["holdfast_outbox_oldest_due_timestamp_seconds", None])
    assert gauges["holdfast_temporal_reachable", None] == 0


async def _queue(temporal: Client, task_queue: str) -> dict[str, float | None]:
    await TaskQueueGauges(registry := CollectorRegistry()).refresh(temporal, task_queue, timedelta(seconds=5))
    names = ("pollers", "backlog", "backlog_age_seconds")
    labels = {"task_queue": task_queue, "type": "workflow"}
    return {name: registry.get_sample_value(f"holdfast_task_queue_{name}", labels) for name in names}


async def _until(name: str, temporal: Client, task_queue: str) -> None:
    """Wait until the gauge is not zero."""
    for _ in range(100):
        if (await _queue(temporal, task_queue))[name]:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"{name} stays 0")


async def test_task_queue_gauges_show_who_polls_and_what_waits(temporal_address: str, task_queue: str) -> None:
    temporal = await Client.connect(temporal_address, data_converter=pydantic_data_converter)
    assert await _queue(temporal, task_queue) == {"pollers": 0, "backlog": 0, "backlog_age_seconds": 0}
    handle = await temporal.start_workflow(
        ReconciliationWorkflow.run, ReconciliationOrder(), id=f"backlog-{uuid4()}", task_queue=task_queue
    )
    await _until("backlog", temporal, task_queue)
    await handle.terminate()
    async with Worker(temporal, task_queue=task_queue, workflows=[ReconciliationWorkflow]):
        await _until("pollers", temporal, task_queue)
