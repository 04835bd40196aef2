"""Decisions at every stage: refused updates, signals, duplicates, and ties with a deadline."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from models.domain.actors import AbsentParty, Actor, Role
from models.domain.endings import EndReason
from models.domain.messages import (
    Approve,
    Cancel,
    Complete,
    Confirm,
    Decision,
    Extend,
    Object,
    Refusal,
    Reject,
    Release,
    ReportNoShow,
    Retry,
    Settle,
    SettleAndRefund,
)
from models.domain.money import Money
from models.domain.policy import BookingPolicy, Deadlines
from models.domain.states import BookingStatus, PaymentStatus
from sandbox.browser.checkout_page import pay
from tests.workflows.saga import Booked, Saga, both_plans
from workflows.booking.workflow import BookingWorkflow

pytestmark = both_plans

OPERATOR = Actor(role=Role.OPERATOR, id=UUID(int=3))


def _decisions(booked: Booked) -> dict[str, Decision]:
    instructor, student = booked.instructor, booked.student
    return {
        "approve": Approve(actor=instructor),
        "reject": Reject(actor=instructor),
        "complete": Complete(actor=instructor),
        "report_no_show": ReportNoShow(actor=instructor, absent=AbsentParty.STUDENT),
        "cancel": Cancel(actor=student),
        "confirm": Confirm(actor=student),
        "object": Object(actor=student),
        "settle": Settle(actor=OPERATOR),
        "release": Release(actor=OPERATOR),
        "refund": SettleAndRefund(actor=OPERATOR, amount=Money(amount_minor=1, currency="usd")),
        "extend": Extend(actor=OPERATOR, until=booked.order.terms.starts_at + timedelta(days=30)),
        "retry": Retry(actor=OPERATOR),
    }


async def _refused(booked: Booked, *names: str) -> None:
    for name in names:
        with pytest.raises(WorkflowUpdateFailedError) as failure:
            await booked.handle.execute_update(name, _decisions(booked)[name])
        assert isinstance(failure.value.cause, ApplicationError)
        assert failure.value.cause.type == Refusal.NOT_POSSIBLE_NOW


async def test_refused_update_leaves_no_event(saga: Saga) -> None:
    booked = await saga.booked()
    before = len((await booked.handle.fetch_history()).events)
    await _refused(booked, "approve", "reject", "complete", "report_no_show", "settle", "refund", "extend", "retry")
    updates = [
        event
        for event in (await booked.handle.fetch_history()).events[before:]
        if event.HasField("workflow_execution_update_accepted_event_attributes")
    ]
    assert not updates
    await booked.pay()
    await saga.until_stored(booked, PaymentStatus.PENDING)
    await _refused(booked, "complete", "confirm", "report_no_show", "settle", "refund", "extend", "retry")
    await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))
    await _refused(booked, "approve", "reject", "complete", "confirm", "report_no_show", "settle", "refund", "retry")
    await booked.until_begun()
    await _refused(booked, "approve", "reject", "complete", "object", "report_no_show", "cancel", "settle", "retry")


@pytest.mark.parametrize("amount", [0, -1, 10_001])
async def test_refund_outside_the_payment_is_refused(saga: Saga, amount: int) -> None:
    booked = await saga.paid()
    await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))
    refund = SettleAndRefund(actor=OPERATOR, amount=Money(amount_minor=amount, currency="usd"), has_reason=True)
    with pytest.raises(WorkflowUpdateFailedError):
        await booked.handle.execute_update(BookingWorkflow.refund, refund)


async def test_signals_decide_and_are_ignored_at_the_wrong_stage(saga: Saga) -> None:
    booked = await saga.paid()
    await booked.handle.signal("complete", Complete(actor=booked.instructor))
    await booked.handle.signal("approve", Approve(actor=booked.instructor))
    await booked.until_waited()
    await booked.handle.signal("reject", Reject(actor=booked.instructor))
    await booked.handle.signal("report_no_show", ReportNoShow(actor=booked.student, absent=AbsentParty.INSTRUCTOR))
    view = await booked.result()
    assert (view.booking_status, view.end_reason) == (BookingStatus.NO_SHOW, EndReason.INSTRUCTOR_ABSENT)


async def test_cancellation_right_after_an_approval_is_handled(saga: Saga) -> None:
    booked = await saga.paid()
    await booked.handle.signal("approve", Approve(actor=booked.instructor))
    await booked.handle.signal("cancel", Cancel(actor=booked.student))
    assert (await booked.result()).booking_status is BookingStatus.CANCELLED


@pytest.mark.uncached
async def test_approval_that_arrives_with_the_deadline_counts(saga: Saga) -> None:
    booked = await saga.paid()
    request = await booked.request()
    assert request is not None
    assert request.next_deadline_at is not None
    async with saga.workers.stopped():
        # Time is not skipped while the signal waits for a worker.
        await saga.env.sleep(request.next_deadline_at - await saga.env.get_current_time() - timedelta(seconds=1))
        await booked.handle.signal("approve", Approve(actor=booked.instructor))
        await saga.env.sleep(2)
    # The signal and the fired timer are in one workflow task: the decision counts.
    await saga.until_status(booked, BookingStatus.ACCEPTED)


async def test_repeated_and_late_payment_events_change_nothing(saga: Saga) -> None:
    booked = await saga.booked()
    assert await pay(booked.checkout_url)
    for _ in range(3):
        await booked.notify("evt_same")
    await saga.until_stored(booked, PaymentStatus.PENDING)
    looked_up = saga.faults.calls.count("look_up")
    await booked.notify("evt_same")
    await booked.notify("evt_older_than_it_looks")
    await saga.env.sleep(1)
    assert saga.faults.calls.count("look_up") == looked_up + 1
    request = await booked.request()
    assert request is not None
    assert request.status is BookingStatus.PENDING


async def test_payment_event_before_the_payment_changes_nothing(saga: Saga) -> None:
    booked = await saga.booked()
    await booked.notify()
    await saga.env.sleep(1)
    await booked.pay()
    await saga.until_stored(booked, PaymentStatus.PENDING)


async def test_extended_deadline_replaces_the_old_one(saga: Saga) -> None:
    booked = await saga.paid()
    until = booked.order.terms.starts_at - timedelta(hours=1)
    await booked.handle.execute_update(BookingWorkflow.extend, Extend(actor=OPERATOR, until=until))
    request = await booked.request()
    assert request is not None
    assert request.next_deadline_at == until
    await saga.env.sleep(timedelta(hours=30))
    await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))


@pytest.mark.uncached
async def test_two_extensions_in_one_task_are_recorded_in_their_order(saga: Saga) -> None:
    booked = await saga.paid(policy=BookingPolicy(deadlines=Deadlines(approval_window=timedelta(hours=2))))
    starts_at = booked.order.terms.starts_at
    async with saga.workers.stopped():
        # The new worker receives both in its first workflow task.
        extending = []
        for hours in (2, 1):
            extend = Extend(actor=OPERATOR, until=starts_at - timedelta(hours=hours))
            extending.append(asyncio.create_task(booked.handle.execute_update(BookingWorkflow.extend, extend)))
            await asyncio.sleep(0.5)
    await asyncio.gather(*extending)
    request = await booked.request()
    assert request is not None
    assert request.next_deadline_at == starts_at - timedelta(hours=1)


async def test_an_approval_waits_while_the_payment_is_looked_up(saga: Saga) -> None:
    """As after the death of a worker that had recorded the authorization, but not completed its workflow task."""
    booked = await saga.booked()
    approvals: list[asyncio.Task[object]] = []

    async def approve() -> None:
        approvals.append(asyncio.create_task(booked.approve()))
        await asyncio.sleep(0.5)

    saga.faults.plan("before", "look_up_payment", approve)
    await booked.pay()
    await saga.until_status(booked, BookingStatus.ACCEPTED)
    await approvals[0]
