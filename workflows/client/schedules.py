"""What Temporal starts by itself."""

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
    """Have the schedule there as it is here. Bookings go on without it, so that a failure is only logged."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            ReconciliationWorkflow.run, ReconciliationOrder(), id=RECONCILIATION, task_queue=task_queue
        ),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=EVERY)]),
        # One at a time; what was missed while Temporal was away is one run's work.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=EVERY),
    )

    async def as_it_is_here(there: ScheduleUpdateInput) -> ScheduleUpdate:
        # Somebody may have paused it.
        schedule.state = there.description.schedule.state
        return ScheduleUpdate(schedule)

    try:
        try:
            await client.create_schedule(SCHEDULE, schedule)
        except ScheduleAlreadyRunningError:
            await client.get_schedule_handle(SCHEDULE).update(as_it_is_here)
    except RPCError as error:
        log.warning("there is no schedule for the reconciliation: %s", error.status.name)
