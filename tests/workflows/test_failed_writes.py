"""A write that is refused for good, after money has moved: operators see it, and it is made once it can be."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle
from temporalio.converter import decode_typed_search_attributes
from temporalio.testing import WorkflowEnvironment

from models.domain.states import IllegalTransition, PayoutStatus
from models.tables.audit import AuditEvent
from models.tables.bookings import BookingRequest
from tests.conftest import StripeSandbox
from tests.own_stripe import own_sandbox
from tests.workflows.bank import UNTIL_SENT, bank_of
from tests.workflows.drifts import DRIFT_REASON, add_drift
from tests.workflows.payout_steps import notify_payout, until_share
from tests.workflows.resets import Story
from tests.workflows.saga import Saga, both_plans
from tests.workflows.stories import OUTCOMES, Play, disputes, onboarding, refunds
from workflows.search_attributes import NEEDS_ATTENTION


@pytest.fixture
async def stripe_sandbox() -> AsyncIterator[StripeSandbox]:
    async with own_sandbox() as sandbox:
        yield sandbox


class OneSleepAtATime(WorkflowEnvironment):
    """The test server ends with "Unbalanced lock and unlock calls" if two sleeps overlap."""

    def __init__(self, env: WorkflowEnvironment) -> None:
        super().__init__(env.client)
        self._env = env
        self._sleeping = asyncio.Lock()

    @property
    def supports_time_skipping(self) -> bool:
        return self._env.supports_time_skipping

    async def get_current_time(self, handle: WorkflowHandle[Any, Any] | None = None) -> datetime:
        return await self._env.get_current_time(handle)

    async def sleep(self, duration: timedelta | float) -> None:
        async with self._sleeping:
            await self._env.sleep(duration)


async def play_with_time_passing(saga: Saga, play: Play) -> Story:
    """Nobody waits for a minute in a test: from the failure on, the clock runs."""
    saga = replace(saga, env=OneSleepAtATime(saga.env))

    async def let_it_run() -> None:
        while True:
            await asyncio.sleep(0.1)
            if saga.faults.all_taken:
                await saga.env.sleep(timedelta(seconds=61))

    clock = asyncio.create_task(let_it_run())
    try:
        return await play(saga)
    finally:
        clock.cancel()


async def shown_by(saga: Saga, id: str, run_id: str | None) -> list[bool | None]:
    """What the workflow's search attribute has said, one after another."""
    history = await saga.env.client.get_workflow_handle(id, run_id=run_id).fetch_history()
    changed = EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES
    return [
        decode_typed_search_attributes(event.upsert_workflow_search_attributes_event_attributes.search_attributes).get(
            NEEDS_ATTENTION
        )
        for event in history.events
        if event.event_type == changed
    ]


@pytest.mark.parametrize(
    ("play", "write", "booking_is_known"),
    [
        (refunds.refunded, "reserve_refund", False),
        (refunds.refunded, "record_refund", True),
        (refunds.refund_refused, "record_refused_refund", True),
        (refunds.refund_failed_twice, "record_refund_retry", True),
        (disputes.dispute_lost, "record_dispute", False),
        (disputes.dispute_won, "record_dispute_decision", True),
        (disputes.dispute_won, "record_dispute_evidence", True),
        (disputes.dispute_answer_refused, "record_refused_dispute_evidence", True),
        (disputes.dispute_lost, "record_dispute_end", True),
    ],
)
@both_plans
async def test_failed_write_is_shown_and_made_later(saga: Saga, play: Play, write: str, booking_is_known: bool) -> None:
    saga.faults.fail("before", write, IllegalTransition("from here to there"))
    story = await play_with_time_passing(saga, play)
    assert saga.faults.all_taken
    assert play not in OUTCOMES or await story.outcome() == OUTCOMES[play]
    await _assert_shown(saga, story, write, booking_is_known)


async def test_account_whose_state_cannot_be_recorded_is_shown(saga: Saga) -> None:
    saga.faults.fail("before", "record_account_state", IllegalTransition("from here to there"))
    story = await play_with_time_passing(saga, onboarding.account_checked)
    assert saga.faults.all_taken
    await _assert_shown(saga, story, "record_account_state", booking_is_known=False)


async def _assert_shown(saga: Saga, story: Story, write: str, booking_is_known: bool) -> None:
    shown = [each for run_id in story.run_ids for each in await shown_by(saga, story.id, run_id)]
    assert shown == [True, False]

    reason = f"{write} fails and is tried again: from here to there"
    is_about_it = col(AuditEvent.detail)["reason"].astext == reason
    async with AsyncSession(saga.engine) as session:
        said = await session.exec(select(AuditEvent.action).where(is_about_it).order_by(col(AuditEvent.seq)))
        # A workflow task that times out on a busy machine runs again, and says it again.
        assert list(dict.fromkeys(said)) == ["booking.needs_attention", "booking.attention_cleared"] * booking_is_known
        still = select(BookingRequest.id).where(col(BookingRequest.attention_reason) == reason)
        assert not (await session.exec(still)).all()


async def test_reason_that_the_records_give_is_shown_after_a_failed_write(saga: Saga) -> None:
    """The drift is found while the write fails."""
    found: list[UUID] = []

    async def find_drift() -> None:
        async with AsyncSession(saga.engine) as session:
            needy = await session.exec(select(BookingRequest.id).where(col(BookingRequest.needs_attention)))
            found.extend(needy)
        for booking_id in found:
            await add_drift(saga.engine, booking_id)

    saga.faults.fail("before", "record_refund", IllegalTransition("from here to there"))
    saga.faults.plan("after", "report_failed_write", find_drift)
    await play_with_time_passing(saga, refunds.refunded)
    assert saga.faults.all_taken
    async with AsyncSession(saga.engine) as session:
        booking = await session.get_one(BookingRequest, found[0])
        assert (booking.needs_attention, booking.attention_reason) == (True, DRIFT_REASON)


async def test_payout_that_cannot_be_recorded_is_shown_and_recorded_the_next_day(saga: Saga) -> None:
    booked = await saga.completed()
    bank = bank_of(booked)
    await bank.wait(UNTIL_SENT)
    payout = await bank.payout()
    saga.faults.fail("before", "record_payout", IllegalTransition("from here to there"))
    handle = await notify_payout(bank, payout.id)
    await saga.env.sleep(timedelta(days=1, minutes=1))
    await until_share(booked, PayoutStatus.PROCESSING, payout.id)
    assert await shown_by(saga, handle.id, None) == [True, False]


async def test_account_that_cannot_be_recorded_is_recorded_with_the_next_request(saga: Saga) -> None:
    saga.faults.fail("before", "record_account", IllegalTransition("from here to there"))
    story = await onboarding.account_created(saga)
    assert saga.faults.all_taken
    assert await story.outcome() == OUTCOMES[onboarding.account_created]
