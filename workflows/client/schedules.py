"""Schedules: what Temporal starts on its own."""

import logging
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError

from models.domain.ids import RECONCILIATION
from models.domain.reconciliation import ReconciliationOrder
from workflows.reconciliation import ReconciliationWorkflow

EVERY = timedelta(hours=1)
SCHEDULE = "reconciliation-hourly"

log = logging.getLogger("holdfast.worker")


async def reconcile_hourly(client: Client, task_queue: str) -> None:
    """Create the schedule, or update it to what is defined here. Bookings run without it: a failure is only logged."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            ReconciliationWorkflow.run, ReconciliationOrder(), id=RECONCILIATION, task_queue=task_queue
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=EVERY)]),
        # One at a time. What was missed while Temporal was down is caught up in one run.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=EVERY),
    )

    async def as_defined_here(current: ScheduleUpdateInput) -> ScheduleUpdate:
        # An operator may have paused it.
        schedule.state = current.description.schedule.state
        return ScheduleUpdate(schedule)

    try:
        try:
            await client.create_schedule(SCHEDULE, schedule)
        except ScheduleAlreadyRunningError:
            await client.get_schedule_handle(SCHEDULE).update(as_defined_here)
    except RPCError as error:
        log.warning("the reconciliation has no schedule: %s", error.status.name)
