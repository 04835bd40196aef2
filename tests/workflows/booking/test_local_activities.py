"""Several local activities in one workflow task: the history has them together, and replays."""

import asyncio
from collections import Counter
from datetime import timedelta

from models.domain.actors import Actor, Role
from models.domain.messages import Approve, Extend
from models.domain.policy import BookingPolicy, Deadlines
from models.domain.states import BookingStatus
from tests.workflows.saga import Saga
from workflows.booking.workflow import BookingWorkflow

OPERATOR = Actor(role=Role.OPERATOR)


async def test_an_extension_and_an_approval_in_one_task_are_both_recorded(saga: Saga) -> None:
    booked = await saga.paid(policy=BookingPolicy(deadlines=Deadlines(approval_window=timedelta(hours=2))))
    until = booked.order.terms.starts_at - timedelta(hours=1)
    async with saga.workers.stopped():
        # The new worker receives both in its first workflow task.
        await booked.handle.signal("approve", Approve(actor=booked.instructor))
        extending = asyncio.create_task(
            booked.handle.execute_update(BookingWorkflow.extend, Extend(actor=OPERATOR, until=until))
        )
        await asyncio.sleep(0.5)
    await extending
    await saga.until_status(booked, BookingStatus.ACCEPTED)
    history = await booked.handle.fetch_history()
    tasks = Counter(
        event.marker_recorded_event_attributes.workflow_task_completed_event_id
        for event in history.events
        if event.HasField("marker_recorded_event_attributes")
    )
    assert max(tasks.values()) >= 2
