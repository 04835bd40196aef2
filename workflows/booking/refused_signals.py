"""Signals that are refused. Nobody waits for their outcome: the details show the last one, the audit trail has all."""

import asyncio

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.booking.records import RecordActivities
    from models.domain.actors import Actor
    from models.domain.messages import RecordRefusedSignal
    from workflows.activity_calls import persist_decision, reason_of
    from workflows.booking.progress import Progress
    from workflows.booking.state import BookingState

REFUSED_SIGNALS = "refused-signals"
"""The patch since which a refused signal is recorded, and one whose actor cannot be who it says is refused."""

SENT_AGAIN = "refused-signals-sent-again"
"""The patch since which a signal that a reset sends again is not recorded as refused."""


class RefusedSignals:
    def __init__(self, state: BookingState, progress: Progress) -> None:
        self._state = state
        self._progress = progress
        self._recorded: set[tuple[str, str, Actor | None]] = set()

    async def record(self, signal: str, reason: str, actor: Actor | None = None) -> None:
        """Show it, and record it: once, however often the same signal is refused for the same reason."""
        workflow.logger.warning("signal %s refused: %s", signal, reason)
        if not workflow.patched(REFUSED_SIGNALS):
            return
        refused = RecordRefusedSignal(
            booking_id=self._state.terms.booking_id, signal=signal, reason=reason, at=workflow.now(), actor=actor
        )
        self._state.refused_signal = refused
        self._progress.set_details()
        if (signal, reason, actor) in self._recorded:
            return
        self._recorded.add((signal, reason, actor))
        recording = asyncio.create_task(_persist(refused))
        await workflow.wait_condition(lambda: recording.done() or self._progress.was_reset)
        if recording.done() or not workflow.patched(SENT_AGAIN):
            await recording
            return
        # A reset sent it again. In its workflow task, signals are handled before the reset is known.
        recording.cancel()
        await workflow.wait([recording])
        self._recorded.discard((signal, reason, actor))
        if self._state.refused_signal is refused:
            self._state.refused_signal = None


async def _persist(refused: RecordRefusedSignal) -> None:
    try:
        await persist_decision(RecordActivities.record_refused_signal, refused)
    except ActivityError as failure:
        if not is_cancelled_exception(failure):
            workflow.logger.error("the refused signal is not recorded: %s", reason_of(failure))


def unreadable(error: ValidationError) -> str:
    """The first thing that is wrong with a signal's input, without the input."""
    wrong = error.errors(include_input=False, include_url=False, include_context=False)[0]
    place = ".".join(map(str, wrong["loc"]))
    return f"Its input cannot be read: {place and f'{place}: '}{wrong['msg']}."
