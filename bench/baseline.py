"""A workflow of a booking's shape that does nothing: what Temporal alone costs.

Four activities, and two waits for a signal with a deadline. It has 41 events and 9 billable actions.
"""

from datetime import timedelta
from typing import Final

from temporalio import activity, workflow

QUEUE: Final = "bare"
SIGNALS: Final = 2

_DEADLINE: Final = timedelta(days=1)
_ONE_STEP: Final = timedelta(seconds=10)


@activity.defn
async def do_nothing() -> None:
    """Neither Stripe nor Postgres."""


@workflow.defn(name="Bare")
class BaselineWorkflow:
    def __init__(self) -> None:
        self._heard = 0

    @workflow.run
    async def run(self) -> None:
        await self._step()
        await self._step()
        await self._hear(1)
        await self._step()
        await self._hear(2)
        await self._step()

    @workflow.signal
    def go_on(self) -> None:
        self._heard += 1

    async def _step(self) -> None:
        await workflow.execute_activity(do_nothing, start_to_close_timeout=_ONE_STEP)

    async def _hear(self, signal: int) -> None:
        # The bench signals when it reads this. A signal that came earlier would spare the workflow a timer and a task.
        workflow.logger.info("waits")
        await workflow.wait_condition(lambda: self._heard >= signal, timeout=_DEADLINE)
