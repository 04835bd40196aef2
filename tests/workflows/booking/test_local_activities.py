"""Several local activities in one workflow task: the history has them together, and replays."""

import asyncio
from collections import Counter
from datetime import timedelta

from models.domain.actors import Actor, Role
from models.domain.messages import Extend
from models.domain.policy import BookingPolicy, Deadlines
from tests.workflows.saga import Saga
from workflows.booking.workflow import BookingWorkflow

OPERATOR = Actor(role=Role.OPERATOR)


async def test_two_extensions_in_one_task_are_both_recorded(saga: Saga) -> None:
    booked = await saga.paid(policy=BookingPolicy(deadlines=Deadlines(approval_window=timedelta(hours=2))))
    starts_at = booked.order.terms.starts_at
    async with saga.workers.stopped():
        # The new worker receives both in its first workflow task.
        extending = [
            asyncio.create_task(
                booked.handle.execute_update(BookingWorkflow.extend, Extend(actor=OPERATOR, until=starts_at - before))
            )
            for before in (timedelta(hours=2), timedelta(hours=1))
        ]
        await asyncio.sleep(0.5)
    await asyncio.gather(*extending)
    history = await booked.handle.fetch_history()
    tasks = Counter(
        event.marker_recorded_event_attributes.workflow_task_completed_event_id
        for event in history.events
        if event.HasField("marker_recorded_event_attributes")
    )
    assert max(tasks.values()) >= 2
