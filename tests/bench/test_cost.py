"""A completed booking stays within its budget, played for real: API, Checkout page, worker, Temporal and Stripe."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bench.actions import history_cost
from bench.bookings import playing
from bench.budget import MOST_ACTIONS, MOST_EVENTS, MOST_STRIPE_MUTATIONS
from bench.stack import place
from models.domain.ids import workflow_id

# stripe-python hands httpx its forms as `data`, which httpx is about to stop taking.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>' to upload raw bytes:DeprecationWarning")

_STARTS_IN = timedelta(seconds=8)
_A_MOMENT = timedelta(milliseconds=200)


async def test_a_completed_booking_stays_within_its_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STRIPE_API_KEY", "HOLDFAST_ENV"):  # a developer's shell may hold them
        monkeypatch.delenv(name, raising=False)
    async with place() as here, playing(here.market, teachers=1) as bookings:
        here.stripe_log.start()
        (pair,) = await bookings.pairs(datetime.now(UTC) + _STARTS_IN, 1)
        booked = await bookings.pay_and_approve(pair)
        await asyncio.sleep(max(0.0, (pair.starts_at + _A_MOMENT - datetime.now(UTC)).total_seconds()))
        await bookings.complete(booked)
        handle = here.market.temporal.get_workflow_handle(workflow_id(booked.booking_id))
        await handle.result()
        cost = await history_cost(handle)
        mutations = [call.path for call in here.stripe_log.calls() if call.is_mutating]
    assert cost.events <= MOST_EVENTS
    assert cost.actions <= MOST_ACTIONS
    assert len(mutations) <= MOST_STRIPE_MUTATIONS, mutations
    # A new student's booking: the customer, the page, the capture. None of them was left out of the count.
    assert {path.rpartition("/")[2] for path in mutations} == {"customers", "sessions", "capture"}


def test_the_budget_is_the_one_that_was_agreed() -> None:
    assert (MOST_EVENTS, MOST_ACTIONS, MOST_STRIPE_MUTATIONS) == (60, 20, 4)
