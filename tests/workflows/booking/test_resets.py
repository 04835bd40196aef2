"""The reset button of Temporal's UI: at every workflow task of every ending, no money moves and the end is the same."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle, product
from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import SQLModel
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, ResetReapplyType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError, WorkflowUpdateFailedError

from models.domain.actors import AbsentParty
from models.domain.errors import Declined, Retryable
from models.domain.messages import (
    Approve,
    BookingView,
    Cancel,
    Complete,
    Confirm,
    Decision,
    Extend,
    Object,
    Reject,
    Release,
    ReportNoShow,
    Retry,
    Settle,
    SettleAndRefund,
)
from models.domain.policy import PaymentPlan
from models.domain.states import BookingStatus
from tests.workflows.booking import endings
from tests.workflows.booking.endings import OPERATOR, Ending
from tests.workflows.booking.refusals import details_of, recorded_refusals
from tests.workflows.booking.reschedule_steps import move, proposal
from tests.workflows.replay import replay
from tests.workflows.saga import Booked, Handle, Saga

pytestmark = [
    pytest.mark.timeout(300),
    # The SDK's, when a workflow is evicted while its local activity ends.
    pytest.mark.filterwarnings("ignore:Cannot find activity to cancel:UserWarning"),
]

EVERYTHING = ResetReapplyType.RESET_REAPPLY_TYPE_ALL_ELIGIBLE
"""The default."""
NOTHING = ResetReapplyType.RESET_REAPPLY_TYPE_NONE
CANCELED, COMPLETED = WorkflowExecutionStatus.CANCELED, WorkflowExecutionStatus.COMPLETED
_LIMIT_SECONDS = 30
READS = {"look_up", "transfers_of", "look_up_account", "find_checkout", "find_customer"}

Outcome = tuple[WorkflowExecutionStatus | None, BookingView | None]


async def _outcome(saga: Saga, handle: Handle, run_id: str | None = None) -> Outcome:
    """How the workflow ended. A cancelled one has no result."""
    run: Any = saga.env.client.get_workflow_handle(handle.id, run_id=run_id, result_type=BookingView)
    try:
        view = await asyncio.wait_for(run.result(), _LIMIT_SECONDS)
    except (WorkflowFailureError, TimeoutError):
        view = None
    return (await run.describe()).status, view


async def _tasks(handle: Handle) -> list[int]:
    completed = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    return [event.event_id for event in (await handle.fetch_history()).events if event.event_type == completed]


async def _reset(saga: Saga, handle: Handle, run_id: str, task: int, reapply: "ResetReapplyType.ValueType") -> str:
    client = saga.env.client
    response = await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=run_id),
            reason="test",
            workflow_task_finish_event_id=task,
            request_id=str(uuid4()),
            reset_reapply_type=reapply,
        )
    )
    return response.run_id


async def _rows(saga: Saga) -> dict[str, list[dict[str, Any]]]:
    async with saga.engine.connect() as connection:
        return {
            table.name: [dict(row) for row in (await connection.execute(table.select())).mappings()]
            for table in SQLModel.metadata.sorted_tables
        }


async def _payments(saga: Saga, since: int) -> list[list[tuple[str, str | None]]]:
    """Everything at Stripe that a reset could have moved or made. What was made before `since` is other tests'."""
    api = saga.stripe.v1
    intents = (await api.payment_intents.list_async({"limit": 100, "created": {"gte": since}})).data
    refunds = (await api.refunds.list_async({"limit": 100, "created": {"gte": since}})).data
    sessions = (await api.checkout.sessions.list_async({"limit": 100, "created": {"gte": since}})).data
    return [sorted((each.id, each.status) for each in objects) for objects in (intents, refunds, sessions)]


async def _walk(saga: Saga, name: str, handle: Handle, each_way: bool) -> list[str]:
    """Reset the booking to each of its tasks, `each_way` or one way in turn. Returns what was different afterwards."""
    run_id = (await handle.describe()).run_id
    before = await _outcome(saga, handle, run_id)
    wrong = []
    tasks = await _tasks(saga.env.client.get_workflow_handle(handle.id, run_id=run_id))
    ways = (EVERYTHING, NOTHING)
    for task, reapply in product(tasks, ways) if each_way else zip(tasks, cycle(ways), strict=False):
        await _reset(saga, handle, run_id, task, reapply)
        after = await _outcome(saga, handle)
        # A reset to before the cancellation may leave it out: there is nothing to be cancelled any more.
        is_uncancelled = before[0] is CANCELED and after[0] is COMPLETED
        if after != before and not is_uncancelled:
            wrong.append(f"{name}, task {task}, reapply {reapply}: {after}, not {before}")
    return wrong


@pytest.mark.parametrize(
    ("plan", "alone", "together"),
    [
        (PaymentPlan.HOLD, endings.ALONE, endings.TOGETHER),
        pytest.param(
            PaymentPlan.CHARGE_THEN_TRANSFER,
            (endings.retried_by_operator,),
            endings.CHARGED,
            marks=pytest.mark.on_demand,
        ),
    ],
)
@pytest.mark.parametrize("each_way", [False, pytest.param(True, marks=pytest.mark.on_demand)])
async def test_a_reset_of_an_ended_booking_changes_nothing(
    live_saga: Saga, alone: tuple[Ending, ...], together: tuple[Ending, ...], each_way: bool
) -> None:
    """The second plan only where its steps differ."""
    saga, since = live_saga, int(time.time())
    names = [*alone, *together]
    handles = [await play(saga) for play in alone]
    handles += await asyncio.gather(*(play(saga) for play in together))
    for handle in handles:
        await _outcome(saga, handle)
    rows, payments, calls = await _rows(saga), await _payments(saga, since), len(saga.faults.calls)
    walks = (_walk(saga, play.__name__, handle, each_way) for play, handle in zip(names, handles, strict=True))
    wrong = [each for walk in await asyncio.gather(*walks) for each in walk]
    assert not wrong, "\n".join(wrong)
    assert set(saga.faults.calls[calls:]) <= READS
    assert await _rows(saga) == rows
    assert await _payments(saga, since) == payments


@dataclass(frozen=True)
class Open:
    """An open booking, and the decision with which it goes on."""

    booked: Booked
    go_on: str
    decision: Decision
    status: BookingStatus | None
    kept_minor: int
    is_parked: bool = False


Begin = Callable[[Saga], Awaitable[Open]]


async def _unpaid(saga: Saga) -> Open:
    booked = await saga.booked()
    return Open(booked, "cancel", Cancel(actor=booked.student), BookingStatus.CANCELLED, 0)


async def _paid(saga: Saga) -> Open:
    booked = await saga.paid()
    return Open(booked, "reject", Reject(actor=booked.instructor), BookingStatus.REJECTED, 0)


async def _accepted(saga: Saga) -> Open:
    booked = await saga.accepted(starts_in=timedelta(hours=12))
    return Open(booked, "cancel", Cancel(actor=booked.student), BookingStatus.CANCELLED, 5_000)


async def _moved(saga: Saga) -> Open:
    """At the new time half of the price is kept, at the old one it would be nothing."""
    booked = await saga.accepted()
    await move(booked, await proposal(saga, booked, timedelta(hours=12 - 72)))
    return Open(booked, "cancel", Cancel(actor=booked.student), BookingStatus.CANCELLED, 5_000)


async def _moved_before_approval(saga: Saga) -> Open:
    booked = await saga.paid()
    await move(booked, await proposal(saga, booked, timedelta(hours=12 - 72)))
    return Open(booked, "release", Release(actor=OPERATOR), BookingStatus.CANCELLED, 0)


async def _extended(saga: Saga) -> Open:
    booked = await saga.accepted(starts_in=timedelta(hours=12))
    until = booked.order.terms.ends_at + timedelta(hours=5)
    await booked.handle.execute_update("extend", Extend(actor=OPERATOR, until=until))
    return Open(booked, "cancel", Cancel(actor=booked.student), BookingStatus.CANCELLED, 5_000)


async def _completion_reported(saga: Saga) -> Open:
    booked = await endings.over(saga)
    await booked.handle.execute_update("complete", Complete(actor=booked.instructor))
    return Open(booked, "confirm", Confirm(actor=booked.student), BookingStatus.COMPLETED, 10_000)


async def _objected(saga: Saga) -> Open:
    booked = (await _completion_reported(saga)).booked
    await booked.handle.execute_update("object", Object(actor=booked.student))
    await saga.until_needs_attention(booked)
    refund = SettleAndRefund(actor=OPERATOR, amount=endings.THIRD)
    return Open(booked, "refund", refund, BookingStatus.COMPLETED, 7_000, is_parked=True)


async def _no_show_reported(saga: Saga) -> Open:
    booked = await endings.over(saga)
    report = ReportNoShow(actor=booked.student, absent=AbsentParty.INSTRUCTOR)
    await booked.handle.execute_update("report_no_show", report)
    return Open(booked, "cancel", Cancel(actor=booked.instructor), BookingStatus.CANCELLED, 0)


async def _parked(saga: Saga) -> Open:
    """An operator's retry still captures what the student confirmed."""
    booked = await endings.parked(saga)
    return Open(booked, "retry", Retry(actor=OPERATOR), BookingStatus.COMPLETED, 10_000, is_parked=True)


async def _parked_again(saga: Saga) -> Open:
    """The first retry failed as well: two decisions are played again, and neither is the next one."""
    booked = await endings.parked(saga)
    saga.faults.fail("before", saga.call("gateway.capture"), Declined("test"))
    await booked.handle.execute_update("retry", Retry(actor=OPERATOR))
    return Open(booked, "retry", Retry(actor=OPERATOR), BookingStatus.COMPLETED, 10_000, is_parked=True)


async def _until_idle(handle: Handle) -> None:
    for _ in range(_LIMIT_SECONDS * 10):
        description = (await handle.describe()).raw_description
        if not description.pending_activities and not description.HasField("pending_workflow_task"):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{handle.id} is still at work")


async def _walk_open(saga: Saga, booking: Open) -> str | None:
    """Reset an open booking to each of its tasks, then go on. Returns how it ended, if that is not as without."""
    handle = booking.booked.handle
    run_id = (await handle.describe()).run_id
    for task in await _tasks(handle):
        for reapply in (EVERYTHING, NOTHING):
            await _reset(saga, handle, run_id, task, reapply)
            await _until_idle(handle)
            request = await booking.booked.request()
            if request is None or request.needs_attention is not booking.is_parked:
                return f"{booking}, task {task}, reapply {reapply}: {request}"
    try:
        view: BookingView = await handle.execute_update(booking.go_on, booking.decision, result_type=BookingView)
    except WorkflowUpdateFailedError as refused:
        return f"{booking}: {refused.cause}"
    payment = await booking.booked.payment()
    kept = payment.captured_minor if payment else 0
    is_same = (view.booking_status, kept) == (booking.status, booking.kept_minor)
    return None if is_same else f"{booking}: {view}, {kept}"


_OF_A_HOLD = (
    _unpaid,
    _paid,
    _accepted,
    _moved,
    _moved_before_approval,
    _extended,
    _completion_reported,
    _objected,
    _no_show_reported,
)
_OF_A_CHARGE = (_paid, _accepted, _completion_reported)
"""Where its steps differ: released, refunded in part, transferred."""


@pytest.mark.parametrize(
    ("plan", "together", "moves"),
    [
        (PaymentPlan.HOLD, _OF_A_HOLD, {"cancel": 3, "capture": 7, "expire_checkout": 1}),
        pytest.param(
            PaymentPlan.CHARGE_THEN_TRANSFER,
            _OF_A_CHARGE,
            {"refund_charge": 2, "transfer": 4},
            marks=pytest.mark.on_demand,
        ),
    ],
)
async def test_a_reset_of_an_open_booking_goes_on_where_the_people_left_it(
    live_saga: Saga, together: tuple[Begin, ...], moves: dict[str, int]
) -> None:
    saga = live_saga
    bookings = [
        await _parked(saga),
        await _parked_again(saga),
        *await asyncio.gather(*(begin(saga) for begin in together)),
    ]
    calls = len(saga.faults.calls)
    wrong = await asyncio.gather(*(_walk_open(saga, booking) for booking in bookings))
    assert not any(wrong), "\n".join(each for each in wrong if each)
    # What they went on to, and nothing before: the parked one captures when its operator has the step retried.
    moved = Counter(call for call in saga.faults.calls[calls:] if call not in READS)
    assert moved == moves


_UNDER_WAY: list[tuple[str, Decision, str, int]] = [
    ("retry", Retry(actor=OPERATOR), "capture", 10_000),
    ("release", Release(actor=OPERATOR), "cancel", 0),
]


@pytest.mark.parametrize(("update", "decision", "call", "kept_minor"), _UNDER_WAY)
async def test_an_operators_decision_that_is_under_way_is_carried_out_after_a_reset(
    live_saga: Saga, update: str, decision: Decision, call: str, kept_minor: int
) -> None:
    saga = live_saga
    for reapply in (EVERYTHING, NOTHING):
        booked = await saga.accepted()
        saga.faults.fail("before", saga.call("gateway.capture"), Declined("test"))
        settle = Settle(actor=OPERATOR, has_reason=True)
        await booked.handle.execute_update("settle", settle)
        begun, reset = asyncio.Event(), asyncio.Event()

        async def wait(begun: asyncio.Event = begun, reset: asyncio.Event = reset) -> None:
            begun.set()
            await reset.wait()
            raise Retryable("test")

        saga.faults.plan("before", f"gateway.{call}", wait)
        deciding = asyncio.create_task(booked.handle.execute_update(update, decision))
        await begun.wait()
        run_id = (await booked.handle.describe()).run_id
        await _reset(saga, booked.handle, run_id, (await _tasks(booked.handle))[-1], reapply)
        reset.set()
        _, view = await _outcome(saga, booked.handle)
        await asyncio.gather(deciding, return_exceptions=True)
        payment = await booked.payment()
        assert view is not None
        assert payment is not None
        assert payment.captured_minor == kept_minor


async def test_signals_that_a_reset_sends_again_are_not_refused(live_saga: Saga) -> None:
    """They had their effect before it. The update beside them has to come in the same order in a replay."""
    saga = live_saga
    booked = await saga.paid()
    until = booked.order.terms.starts_at - timedelta(days=1)
    await booked.handle.execute_update("extend", Extend(actor=OPERATOR, until=until))
    await booked.handle.signal("approve", Approve(actor=booked.instructor))
    await saga.until_status(booked, BookingStatus.ACCEPTED)
    run_id = (await booked.handle.describe()).run_id
    for task in await _tasks(booked.handle):
        await _reset(saga, booked.handle, run_id, task, EVERYTHING)
        await _until_idle(booked.handle)
        assert (task, await recorded_refusals(booked)) == (task, [])
        assert "Refused" not in await details_of(booked)
        await replay(booked.handle)
    # A new one is.
    await booked.handle.signal("approve", Approve(actor=booked.instructor))
    await saga.until_audited(booked, "booking.signal_refused")
    assert "the signal `approve` at " in await details_of(booked)
