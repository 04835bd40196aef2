"""A database write that is refused for good parks the booking, whichever write it is. An operator has it retried."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from models.domain.actors import Actor, Role
from models.domain.errors import Declined
from models.domain.messages import Complete, Extend, Object, Refusal, Retry, Settle
from models.domain.policy import BookingPolicy, Deadlines, PaymentPlan
from models.domain.states import BookingStatus, IllegalTransition, PaymentStatus
from models.tables.audit import AuditEvent
from sandbox.demo.figures import Figures
from tests.workflows.booking.reschedule_steps import move, proposal
from tests.workflows.saga import Booked, Handle, Saga, both_plans
from workflows.booking.workflow import BookingWorkflow

HOLD, CHARGE = PaymentPlan
OPERATOR = Actor(role=Role.OPERATOR, id=UUID(int=3))
POLICY = BookingPolicy(deadlines=Deadlines(objection_window=timedelta(hours=12)))
REFUSED = IllegalTransition("test")
ALL = Figures(10_000, 8_000, 2_000, 320)


async def _retry_once(saga: Saga, handle: Handle, activity: str) -> None:
    """As an operator who sees that this write has failed."""
    failed = (col(AuditEvent.action) == "booking.needs_attention", col(AuditEvent.detail)["reason"].astext != "")
    while True:
        async with AsyncSession(saga.engine) as session:
            reasons = [event.detail["reason"] for event in await session.exec(select(AuditEvent).where(*failed))]
        if any(reason.startswith(activity) for reason in reasons):
            break
        await asyncio.sleep(0.05)
    await handle.execute_update(BookingWorkflow.retry, Retry(actor=OPERATOR))


@pytest.mark.parametrize(
    ("plan", "activity"),
    [
        (HOLD, "reserve_slot"),
        (HOLD, "record_checkout"),
        (HOLD, "record_authorization"),
        (HOLD, "record_acceptance"),
        (HOLD, "judge_session"),
        (HOLD, "record_session_report"),
        (HOLD, "record_session_answer"),
        (HOLD, "record_ending"),
        # Those that record a charge otherwise.
        (CHARGE, "record_authorization"),
        (CHARGE, "record_ending"),
    ],
)
async def test_a_failed_write_waits_for_an_operator_and_the_booking_goes_on(saga: Saga, activity: str) -> None:
    saga.faults.fail("before", activity, REFUSED)
    order = await saga.order(policy=POLICY)
    handle = saga.handle(order.terms.booking_id)
    async with asyncio.TaskGroup() as people:
        people.create_task(_retry_once(saga, handle, activity))
        booked = await saga.start(order)
        await booked.pay()
        await saga.until_stored(booked, PaymentStatus.PENDING)
        await booked.approve()
        await saga.until_status(booked, BookingStatus.ACCEPTED)
        await booked.until_ended()
        await handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
        await saga.until_audited(booked, "booking.completion_reported")
        await handle.execute_update(BookingWorkflow.object, Object(actor=booked.student))
        await saga.until_audited(booked, "booking.completion_objected")
        await saga.until_needs_attention(booked)
        await handle.execute_update(BookingWorkflow.settle, Settle(actor=OPERATOR))
    view = await booked.result()
    assert saga.faults.all_taken
    assert (view.booking_status, view.needs_attention) == (BookingStatus.COMPLETED, False)
    assert await booked.figures() == ALL


@both_plans
async def test_a_booking_that_cannot_record_its_call_for_attention_still_waits(saga: Saga) -> None:
    booked = await saga.accepted()
    await booked.until_ended()
    saga.faults.fail("before", saga.call("gateway.capture"), Declined("test"))
    saga.faults.fail("before", "record_attention", REFUSED, times=2)
    view = await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert view.needs_attention
    view = await booked.handle.execute_update(BookingWorkflow.retry, Retry(actor=OPERATOR))
    assert (view.booking_status, view.needs_attention) == (BookingStatus.COMPLETED, False)


async def _refused(sent: object) -> str:
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await sent  # type: ignore[misc]
    cause = caught.value.cause
    assert isinstance(cause, ApplicationError)
    assert cause.type == Refusal.NOT_POSSIBLE_NOW
    return cause.message


async def test_an_extension_that_cannot_be_recorded_is_refused_and_the_deadline_stays(saga: Saga) -> None:
    booked = await saga.paid()
    saga.faults.fail("before", "record_deadline", REFUSED)
    extend = Extend(actor=OPERATOR, until=booked.order.terms.starts_at - timedelta(hours=1))
    assert "Nothing was changed" in await _refused(booked.handle.execute_update(BookingWorkflow.extend, extend))
    view = await booked.result()
    assert view.booking_status is BookingStatus.EXPIRED
    assert await booked.lasted() < timedelta(hours=24, minutes=5)


async def test_a_move_that_cannot_be_recorded_is_refused_and_the_booking_stays(saga: Saga) -> None:
    booked: Booked = await saga.accepted()
    to = await proposal(saga, booked, timedelta(days=1))
    saga.faults.fail("before", "move_slot", REFUSED)
    assert "Nothing was changed" in await _refused(move(booked, to))
    await move(booked, to)
    request = await booked.request()
    assert request is not None
    assert request.starts_at == to.starts_at
