"""What a message brings about is written after the message is in the history.

Otherwise a Temporal that is killed in between leaves Postgres with the effect of a message that the workflow never got.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest

from models.domain.actors import AbsentParty, Actor, Role
from models.domain.errors import Declined
from models.domain.messages import Complete, Extend, Object, ReportNoShow, Retry
from models.domain.policy import BookingPolicy, Deadlines
from tests.workflows.booking.reschedule_steps import move, proposal
from tests.workflows.saga import Booked, Saga, both_plans
from workflows.booking.workflow import BookingWorkflow

pytestmark = both_plans

OPERATOR = Actor(role=Role.OPERATOR, id=UUID(int=3))
POLICY = BookingPolicy(deadlines=Deadlines(contest_window=timedelta(hours=24), objection_window=timedelta(hours=12)))

Send = Callable[[Booked], Awaitable[object]]


async def _approved(saga: Saga) -> tuple[Booked, Send]:
    booked = await saga.paid()

    async def send(booked: Booked) -> None:
        await booked.approve()

    return booked, send


async def _completed(saga: Saga) -> tuple[Booked, Send]:
    booked = await saga.accepted(policy=POLICY)
    await booked.until_ended()
    return booked, _complete


async def _complete(booked: Booked) -> None:
    await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))


async def _objected(saga: Saga) -> tuple[Booked, Send]:
    booked, complete = await _completed(saga)
    await complete(booked)

    async def send(booked: Booked) -> None:
        await booked.handle.execute_update(BookingWorkflow.object, Object(actor=booked.student))

    return booked, send


async def _reported(saga: Saga) -> tuple[Booked, Send]:
    booked = await saga.accepted(policy=POLICY)
    await booked.until_ended()

    async def send(booked: Booked) -> None:
        report = ReportNoShow(actor=booked.instructor, absent=AbsentParty.STUDENT)
        await booked.handle.execute_update(BookingWorkflow.report_no_show, report)

    return booked, send


async def _extended(saga: Saga) -> tuple[Booked, Send]:
    booked = await saga.paid()

    async def send(booked: Booked) -> None:
        until = booked.order.terms.starts_at - timedelta(hours=1)
        await booked.handle.execute_update(BookingWorkflow.extend, Extend(actor=OPERATOR, until=until))

    return booked, send


async def _moved(saga: Saga) -> tuple[Booked, Send]:
    booked = await saga.accepted()
    to = await proposal(saga, booked, timedelta(days=1))
    return booked, lambda booked: move(booked, to)


async def _retried(saga: Saga) -> tuple[Booked, Send]:
    booked = await saga.accepted()
    await booked.until_ended()
    saga.faults.fail("before", saga.call("gateway.capture"), Declined("test"))
    await _complete(booked)

    async def send(booked: Booked) -> None:
        await booked.handle.execute_update(BookingWorkflow.retry, Retry(actor=OPERATOR))

    return booked, send


@pytest.mark.parametrize(
    ("update", "activity", "scene"),
    [
        ("approve", "record_acceptance", _approved),
        ("complete", "judge_session", _completed),
        ("complete", "record_session_report", _completed),
        ("object", "record_session_answer", _objected),
        ("report_no_show", "record_session_report", _reported),
        ("extend", "record_deadline", _extended),
        ("reschedule", "move_slot", _moved),
        ("retry", "record_attention", _retried),
    ],
)
async def test_an_update_is_in_the_history_before_its_effect_is_written(
    saga: Saga, update: str, activity: str, scene: Callable[[Saga], Awaitable[tuple[Booked, Send]]]
) -> None:
    booked, send = await scene(saga)
    seen: list[list[str]] = []

    async def look() -> None:
        history = await booked.handle.fetch_history()
        accepted = [event.workflow_execution_update_accepted_event_attributes for event in history.events]
        seen.append([each.accepted_request.input.name for each in accepted])

    saga.faults.plan("before", activity, look)
    await send(booked)
    [updates] = seen
    assert update in updates
