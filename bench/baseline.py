"""The baseline workflow: it has the shape of a booking and does nothing, so it costs what Temporal alone costs.

It runs four activities and waits twice for a signal with a deadline: 41 events and 9 billable actions.
"""

from datetime import timedelta
from typing import Final

from temporalio import activity, workflow

QUEUE: Final = "baseline"
SIGNALS: Final = 2

_DEADLINE: Final = timedelta(days=1)
_ACTIVITY_TIMEOUT: Final = timedelta(seconds=10)


@activity.defn
async def do_nothing() -> None:
    """Call neither Stripe nor Postgres."""


@workflow.defn(name="Baseline")
class BaselineWorkflow:
    def __init__(self) -> None:
        self._signals = 0

    @workflow.run
    async def run(self) -> None:
        await self._run_activity()
        await self._run_activity()
        await self._wait_for_signal(1)
        await self._run_activity()
        await self._wait_for_signal(2)
        await self._run_activity()

    @workflow.signal
    def go_on(self) -> None:
        self._signals += 1

    async def _run_activity(self) -> None:
        await workflow.execute_activity(do_nothing, start_to_close_timeout=_ACTIVITY_TIMEOUT)

    async def _wait_for_signal(self, number: int) -> None:
        # The bench sends the signal when it reads this line. An earlier signal would save a timer and a task.
        workflow.logger.info("waits")
        await workflow.wait_condition(lambda: self._signals >= number, timeout=_DEADLINE)
