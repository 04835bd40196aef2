"""A completed booking stays within its budget, on the real stack."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bench.actions import history_cost
from bench.bookings import booking_driver
from bench.budget import MAX_ACTIONS, MAX_EVENTS, MAX_STRIPE_MUTATIONS
from bench.stack import bench_stack
from models.domain.ids import workflow_id

# stripe-python passes its forms to httpx as `data`, which httpx deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")

_STARTS_IN = timedelta(seconds=8)
_START_MARGIN = timedelta(milliseconds=200)


async def test_completed_booking_stays_within_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STRIPE_API_KEY", "HOLDFAST_ENV"):  # a developer's shell may set them
        monkeypatch.delenv(name, raising=False)
    async with bench_stack() as stack, booking_driver(stack.market, instructors=1) as driver:
        stack.stripe_log.start()
        (pair,) = await driver.pairs(datetime.now(UTC) + _STARTS_IN, 1)
        booked = await driver.pay_and_approve(pair)
        await asyncio.sleep(max(0.0, (pair.starts_at + _START_MARGIN - datetime.now(UTC)).total_seconds()))
        await driver.complete(booked)
        handle = stack.market.temporal.get_workflow_handle(workflow_id(booked.booking_id))
        await handle.result()
        cost = await history_cost(handle)
        mutations = [call.path for call in stack.stripe_log.calls() if call.is_mutating]
    assert cost.events <= MAX_EVENTS
    assert cost.actions <= MAX_ACTIONS
    assert len(mutations) <= MAX_STRIPE_MUTATIONS, mutations
    # A new student's booking creates a customer and a Checkout Session, and captures. The log has all three.
    assert {path.rpartition("/")[2] for path in mutations} == {"customers", "sessions", "capture"}


def test_budget_is_as_agreed() -> None:
    assert (MAX_EVENTS, MAX_ACTIONS, MAX_STRIPE_MUTATIONS) == (60, 20, 4)
