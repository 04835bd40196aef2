"""Schedules: what Temporal starts on its own."""

import logging
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleAction,
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

from models.domain.ids import ORPHAN_SWEEP, RECONCILIATION
from models.domain.reconciliation import ReconciliationOrder
from workflows.orphans import OrphanSweepWorkflow
from workflows.reconciliation import ReconciliationWorkflow

RECONCILIATION_SCHEDULE = "reconciliation-hourly"
SWEEP_SCHEDULE = "orphan-sweep"
_EVERY = {RECONCILIATION_SCHEDULE: timedelta(hours=1), SWEEP_SCHEDULE: timedelta(minutes=1)}

log = logging.getLogger("holdfast.worker")


async def create_schedules(client: Client, task_queue: str) -> None:
    """Create the schedules, or update them to what is defined here.

    Bookings run without them: a failure is only logged.
    """
    reconcile = ScheduleActionStartWorkflow(
        ReconciliationWorkflow.run, ReconciliationOrder(), id=RECONCILIATION, task_queue=task_queue
    )
    sweep = ScheduleActionStartWorkflow(OrphanSweepWorkflow.run, id=ORPHAN_SWEEP, task_queue=task_queue)
    await _create(client, RECONCILIATION_SCHEDULE, reconcile)
    await _create(client, SWEEP_SCHEDULE, sweep)


async def _create(client: Client, id: str, action: ScheduleAction) -> None:
    every = _EVERY[id]
    schedule = Schedule(
        action=action,
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        # One at a time. What was missed while Temporal was down is caught up in one run.
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=every),
    )

    async def as_defined_here(current: ScheduleUpdateInput) -> ScheduleUpdate:
        # An operator may have paused it.
        schedule.state = current.description.schedule.state
        return ScheduleUpdate(schedule)

    try:
        try:
            await client.create_schedule(id, schedule)
        except ScheduleAlreadyRunningError:
            await client.get_schedule_handle(id).update(as_defined_here)
    except RPCError as error:
        log.warning("there is no schedule %s: %s", id, error.status.name)
