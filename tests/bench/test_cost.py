"""A completed booking stays within its budget, on the real stack."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from bench import polling
from bench.actions import history_cost
from bench.bookings import booking_driver
from bench.budget import MAX_ACTIONS, MAX_EVENTS, MAX_STRIPE_MUTATIONS
from bench.stack import bench_stack
from bench.waiting import BookingStarter
from models.domain.ids import workflow_id

# stripe-python passes its forms to httpx as `data`, which httpx deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")

_STARTS_IN = timedelta(seconds=8)
_START_MARGIN = timedelta(milliseconds=200)


async def test_completed_bookings_of_both_plans_stay_within_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STRIPE_API_KEY", "HOLDFAST_ENV"):  # a developer's shell may set them
        monkeypatch.delenv(name, raising=False)
    async with bench_stack() as stack, booking_driver(stack.market, instructors=1) as driver:
        async with polling.polling(stack.market.engine, polling.held) as held:
            starter = await BookingStarter.create(stack.market, held)
            stack.stripe_log.start()
            (pair,) = await driver.pairs(datetime.now(UTC) + _STARTS_IN, 1)
            booked = await driver.pay_and_approve(pair)
            charged = await starter.start(pair.starts_at)
            await starter.approve(charged)
        await asyncio.sleep(max(0.0, (pair.starts_at + _START_MARGIN - datetime.now(UTC)).total_seconds()))
        await driver.complete(booked)
        await starter.complete(charged)
        costs = []
        for booking_id in (booked.booking_id, charged.booking_id):
            handle = stack.market.temporal.get_workflow_handle(workflow_id(booking_id))
            await handle.result()
            costs.append(await history_cost(handle))
        mutations = Counter(call.path.rpartition("/")[2] for call in stack.stripe_log.calls() if call.is_mutating)
    assert max(cost.events for cost in costs) <= MAX_EVENTS
    assert max(cost.actions for cost in costs) <= MAX_ACTIONS
    # A new student's booking creates a customer and a Checkout Session, and captures or transfers.
    assert mutations == {"customers": 2, "sessions": 2, "capture": 1, "transfers": 1}
    assert mutations.total() <= 2 * MAX_STRIPE_MUTATIONS


def test_budget_is_as_agreed() -> None:
    assert (MAX_EVENTS, MAX_ACTIONS, MAX_STRIPE_MUTATIONS) == (60, 20, 4)
