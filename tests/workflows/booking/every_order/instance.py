"""The Booking workflow in Temporal's SDK, without a server: messages go in, activities and timers come out.

A step takes a fraction of a millisecond, so that every order of events can be played.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, cast

from temporalio import workflow
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.bridge.proto.activity_result import ActivityResolution, Failure, Success
from temporalio.bridge.proto.workflow_activation import (
    CancelWorkflow,
    DoUpdate,
    FireTimer,
    InitializeWorkflow,
    RemoveFromCache,
    ResolveActivity,
    SignalWorkflow,
    UpdateRandomSeed,
    WorkflowActivation,
    WorkflowActivationJob,
)
from temporalio.common import Priority, TypedSearchAttributes
from temporalio.converter import DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstanceDetails

from models.domain.errors import Declined
from models.domain.messages import BookingView, ReserveSlot
from workflows.booking.decisions import Decisions
from workflows.booking.workflow import BookingWorkflow


class SameObjects(PayloadConverter):
    """Hands values over as they are: all messages are immutable."""

    def __init__(self) -> None:
        self._kept: list[Any] = []

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        self._kept.extend(values)
        first = len(self._kept) - len(values)
        return [Payload(data=str(first + index).encode()) for index in range(len(values))]

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        return [self._kept[int(payload.data)] for payload in payloads]


class Order(ReserveSlot):
    rules: type[Decisions]
    made: list[Any]
    """The state of each run of the workflow."""


@workflow.defn(name="Booking")
class Saga(BookingWorkflow):
    """The workflow itself, with rules that a test may take out, and a state that it can see."""

    @workflow.init
    def __init__(self, order: ReserveSlot) -> None:
        assert isinstance(order, Order)
        self.decisions_type = order.rules
        super().__init__(order)
        order.made.append(self._state)

    @workflow.run
    async def run(self, order: ReserveSlot) -> BookingView:
        return await super().run(order)


@dataclass(frozen=True)
class Call:
    """An activity that the workflow waits for."""

    seq: int
    name: str
    message: Any
    is_local: bool


class Instance:
    """One run of a workflow. `calls` and `timers` are what it waits for."""

    def __init__(self, run_id: str, now: datetime) -> None:
        self.calls: list[Call] = []
        self.timers: dict[int, datetime] = {}
        self.is_finished = False
        self.refused: str | None = None
        """Why the last update was refused, or failed."""
        self.accepted: set[str] = set()
        """The ids of updates that are in the history."""
        self.unanswered: set[str] = set()
        """The ids of updates whose sender still waits."""
        self._converter = SameObjects()
        known = {
            "workflow_id": "booking",
            "workflow_type": "Booking",
            "run_id": run_id,
            "original_execution_run_id": "first",
            "namespace": "default",
            "task_queue": "bookings",
            "start_time": now,
            "headers": {},
            "search_attributes": {},
            "priority": Priority.default,
            "typed_search_attributes": TypedSearchAttributes.empty,
        }
        details = WorkflowInstanceDetails(
            payload_converter_factory=lambda: self._converter,
            failure_converter_class=DefaultFailureConverter,
            interceptor_classes=[],
            defn=workflow._Definition.must_from_class(Saga),
            info=workflow.Info(**{each.name: known.get(each.name) for each in fields(workflow.Info)}),  # type: ignore[arg-type]
            randomness_seed=1,
            extern_functions={"__temporal_assert_local_activity_valid": lambda _: None},
            disable_eager_activity_execution=True,
            worker_level_failure_exception_types=[],
            patch_activation_callback=None,
            last_completion_result=Payloads(),
            last_failure=None,
        )
        # A worker makes instances in its loop, and runs them outside of it.
        asyncio._set_running_loop(cast(Any, asyncio.AbstractEventLoop)())
        try:
            self._sdk = UnsandboxedWorkflowRunner().create_instance(details)
        finally:
            asyncio._set_running_loop(None)

    @property
    def positions(self) -> frozenset[tuple[tuple[str, int], ...]]:
        """Where each of the workflow's tasks waits, in the code."""
        # `asyncio.all_tasks` goes through those of all instances.
        return frozenset(_position(task.get_coro()) for task in cast(Any, self._sdk)._tasks)

    def start(self, order: Any, now: datetime) -> None:
        self._activate(now, initialize_workflow=InitializeWorkflow(arguments=self._converter.to_payloads([order])))

    def signal(self, name: str, message: Any, now: datetime) -> None:
        self._activate(
            now, signal_workflow=SignalWorkflow(signal_name=name, input=self._converter.to_payloads([message]))
        )

    def update(self, name: str, message: Any, id: str, now: datetime) -> bool:
        """Whether it is accepted."""
        self.refused = None
        update = DoUpdate(
            id=id,
            protocol_instance_id=id,
            name=name,
            input=self._converter.to_payloads([message]),
            run_validator=True,
        )
        self.unanswered.add(id)
        self._activate(now, do_update=update)
        return self.refused is None

    def fire(self, seq: int, now: datetime) -> None:
        del self.timers[seq]
        self._activate(now, fire_timer=FireTimer(seq=seq))

    def answer(self, call: Call, result: Any, now: datetime) -> None:
        self.calls.remove(call)
        resolution = ActivityResolution(completed=Success(result=self._converter.to_payload(result)))
        self._resolve(call, resolution, now)

    def decline(self, call: Call, code: str, now: datetime) -> None:
        """The activity fails for good."""
        self.calls.remove(call)
        failed = Failure()
        cause = ApplicationError(str(Declined(code)), type=Declined.__name__, non_retryable=True)
        error = ActivityError(
            "failed",
            scheduled_event_id=1,
            started_event_id=1,
            identity="",
            activity_type=call.name,
            activity_id="1",
            retry_state=None,
        )
        error.__cause__ = cause
        DefaultFailureConverter().to_failure(error, self._converter, failed.failure)
        self._resolve(call, ActivityResolution(failed=failed), now)

    def cancel(self, now: datetime) -> None:
        self._activate(now, cancel_workflow=CancelWorkflow(reason="test"))

    def reset(self, seed: int, now: datetime) -> None:
        """To the last task: the history stays, and only the seed shows it."""
        self._activate(now, update_random_seed=UpdateRandomSeed(randomness_seed=seed))

    def evict(self, now: datetime) -> None:
        """As a worker does with a workflow that is not in its cache any more: its tasks end."""
        self._activate(now, remove_from_cache=RemoveFromCache())

    def _resolve(self, call: Call, resolution: ActivityResolution, now: datetime) -> None:
        self._activate(now, resolve_activity=ResolveActivity(seq=call.seq, is_local=call.is_local, result=resolution))

    def _activate(self, now: datetime, **job: Any) -> None:
        activation = WorkflowActivation(run_id="run", jobs=[WorkflowActivationJob(**job)])
        activation.timestamp.FromDatetime(now)
        completion = self._sdk.activate(activation)
        assert not completion.HasField("failed"), completion.failed.failure.message
        for command in completion.successful.commands:
            kind = command.WhichOneof("variant")
            if kind == "start_timer":
                lasts: timedelta = command.start_timer.start_to_fire_timeout.ToTimedelta()
                self.timers[command.start_timer.seq] = now + lasts
            elif kind == "cancel_timer":
                self.timers.pop(command.cancel_timer.seq, None)
            elif kind in ("schedule_activity", "schedule_local_activity"):
                scheduled = getattr(command, kind)
                (message,) = self._converter.from_payloads(scheduled.arguments)
                is_local = kind == "schedule_local_activity"
                self.calls.append(Call(scheduled.seq, scheduled.activity_type, message, is_local))
            elif kind == "update_response":
                answer = command.update_response
                if answer.HasField("accepted"):
                    self.accepted.add(answer.protocol_instance_id)
                else:
                    self.unanswered.discard(answer.protocol_instance_id)
                if answer.HasField("rejected"):
                    self.refused = answer.rejected.message
            elif kind in ("complete_workflow_execution", "cancel_workflow_execution"):
                self.is_finished = True
            assert kind != "fail_workflow_execution", command.fail_workflow_execution.failure.message


def _position(coroutine: Any) -> tuple[tuple[str, int], ...]:
    found = []
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        found.append((coroutine.cr_code.co_qualname, frame.f_lineno))
        coroutine = coroutine.cr_await
    return tuple(found)
