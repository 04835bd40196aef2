"""Two decisions in one workflow task, in every combination: each is carried out, or its sender is told otherwise."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from itertools import permutations

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from models.domain.actors import AbsentParty, Actor, Role
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
from models.domain.policy import PaymentPlan
from models.domain.states import BookingStatus
from models.tables.audit import AuditEvent
from tests.workflows.booking.endings import OPERATOR, THIRD, over, parked
from tests.workflows.saga import Booked, Saga

Decisions = Callable[[Booked], Mapping[str, Decision]]
# What each decision leaves in the audit trail. Of one that ends the booking, only the one that did leaves its actor.
_ENDS = {
    "reject": "booking.rejected",
    "cancel": "booking.cancelled",
    "release": "booking.cancelled",
    "confirm": "booking.completed",
    "settle": "booking.completed",
    "refund": "booking.completed",
}
_RECORDS = {
    "approve": "booking.accepted",
    "extend": "booking.extended",
    "complete": "booking.completion_reported",
    "report_no_show": "booking.no_show_reported",
    "object": "booking.completion_objected",
    "retry": "booking.attention_cleared",
}


def _before_approval(booked: Booked) -> Mapping[str, Decision]:
    return {
        "approve": Approve(actor=booked.instructor),
        "reject": Reject(actor=booked.instructor),
        "cancel": Cancel(actor=booked.student),
        "release": Release(actor=OPERATOR),
        "extend": Extend(actor=OPERATOR, until=booked.order.terms.starts_at - timedelta(hours=1)),
    }


def _after_session(booked: Booked) -> Mapping[str, Decision]:
    return {
        "complete": Complete(actor=booked.instructor),
        "confirm": Confirm(actor=booked.student),
        "report_no_show": ReportNoShow(actor=booked.student, absent=AbsentParty.INSTRUCTOR),
        "cancel": Cancel(actor=booked.instructor),
        "settle": Settle(actor=OPERATOR),
    }


def _after_report(booked: Booked) -> Mapping[str, Decision]:
    return {
        "confirm": Confirm(actor=booked.student),
        "object": Object(actor=booked.student),
        "cancel": Cancel(actor=booked.instructor),
        "refund": SettleAndRefund(actor=OPERATOR, amount=THIRD),
    }


def _while_parked(booked: Booked) -> Mapping[str, Decision]:
    return {
        "retry": Retry(actor=OPERATOR),
        "settle": Settle(actor=OPERATOR),
        "release": Release(actor=Actor(role=Role.OPERATOR, id=booked.order.terms.booking_id)),
    }


async def _paid(saga: Saga) -> Booked:
    return await saga.paid()


async def _reported(saga: Saga) -> Booked:
    booked = await over(saga)
    await booked.handle.execute_update("complete", Complete(actor=booked.instructor))
    return booked


@pytest.mark.parametrize(
    ("plan", "begin", "decisions"),
    [
        (PaymentPlan.HOLD, _paid, _before_approval),
        (PaymentPlan.HOLD, over, _after_session),
        (PaymentPlan.HOLD, _reported, _after_report),
        (PaymentPlan.HOLD, parked, _while_parked),
        # The second plan where its steps differ: a settlement that failed, in part done.
        pytest.param(PaymentPlan.CHARGE_THEN_TRANSFER, parked, _while_parked, marks=pytest.mark.on_demand),
    ],
    ids=["before the approval", "after the session", "after a report", "parked", "parked, charged"],
)
async def test_of_two_decisions_at_once_each_is_carried_out_or_refused(
    live_saga: Saga, begin: Callable[[Saga], Awaitable[Booked]], decisions: Decisions
) -> None:
    saga = live_saga
    first = await begin(saga)
    pairs = list(permutations(decisions(first), 2))
    bookings = [first, *await asyncio.gather(*(begin(saga) for _ in pairs[1:]))]
    before = [await _audited(booked) for booked in bookings]
    async with saga.workers.stopped():
        # The new worker receives both in one workflow task.
        sent = []
        for booked, pair in zip(bookings, pairs, strict=True):
            for name in pair:
                sent.append(asyncio.create_task(booked.handle.execute_update(name, decisions(booked)[name])))
                await asyncio.sleep(0.02)
    outcomes = await asyncio.gather(*sent, return_exceptions=True)
    wrong = []
    for index, (booked, pair) in enumerate(zip(bookings, pairs, strict=True)):
        events = [event for event in await _audited(booked) if event not in before[index]]
        for name, outcome in zip(pair, outcomes[2 * index : 2 * index + 2], strict=True):
            if isinstance(outcome, WorkflowUpdateFailedError):
                assert isinstance(outcome.cause, ApplicationError)
                assert outcome.cause.type == Refusal.NOT_POSSIBLE_NOW
            elif isinstance(outcome, BaseException):
                raise outcome
            elif name == "complete" and outcome["booking_status"] == BookingStatus.COMPLETED:
                pass  # The student confirmed it in the same moment: both wanted this.
            elif (_action(name), decisions(booked)[name].actor) not in events:
                wrong.append(f"{name} of {pair}: {outcome}, {events}")
    assert not wrong


def _action(name: str) -> str:
    return (_ENDS | _RECORDS)[name]


async def _audited(booked: Booked) -> list[tuple[str, Actor]]:
    of_booking = select(AuditEvent).where(col(AuditEvent.booking_id) == booked.order.terms.booking_id)
    async with AsyncSession(booked.saga.engine) as session:
        return [
            (event.action, Actor(role=event.actor_role, id=event.actor_id)) for event in await session.exec(of_booking)
        ]
