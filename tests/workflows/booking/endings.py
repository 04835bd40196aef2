"""Every way in which a booking ends, played in real time: windows and sessions last seconds."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WorkflowUpdateFailedError

from models.domain.actors import AbsentParty, Actor, Role, SignUpRole
from models.domain.attendance import AttendanceKind, MeetingProvider
from models.domain.errors import Declined
from models.domain.messages import (
    Cancel,
    Complete,
    Confirm,
    ContestNoShow,
    Decision,
    Extend,
    Object,
    Reject,
    Release,
    ReportNoShow,
    ReserveSlot,
    Retry,
    Settle,
    SettleAndRefund,
)
from models.domain.money import Money
from models.domain.policy import BookingPolicy, CompletionTimeoutPolicy, Deadlines
from models.domain.rationing import BookingLimits
from models.domain.states import BookingStatus, PaymentStatus
from models.tables.bookings import AttendanceEvent
from sandbox.browser.checkout_page import POOR_CARD
from tests.workflows.booking.reschedule_steps import move, proposal
from tests.workflows.saga import Booked, Handle, Saga

Ending = Callable[[Saga], Awaitable[Handle]]

OPERATOR = Actor(role=Role.OPERATOR, id=UUID(int=3))
SECOND = timedelta(seconds=1)
SOON = 20 * SECOND
"""Long enough to book, pay and approve all bookings at once, on a busy machine."""
SOON_ALONE = 8 * SECOND
SHORT = Deadlines(
    checkout_window=SOON,
    decline_grace=SECOND,
    approval_window=SOON,
    completion_window=3 * SECOND,
    contest_window=2 * SECOND,
    objection_window=2 * SECOND,
)
LONG = Deadlines(contest_window=timedelta(hours=2), objection_window=timedelta(hours=2))
THIRD = Money(amount_minor=3_000, currency="usd")


def policy(deadlines: Deadlines = LONG, **wish: object) -> BookingPolicy:
    return BookingPolicy.model_validate({"deadlines": deadlines, "no_show_min_wait": timedelta(0)} | wish)


async def send(booked: Booked, update: str, decision: Decision) -> None:
    await booked.handle.execute_update(update, decision)


async def until(time: datetime) -> None:
    await asyncio.sleep(max(0.0, (time - datetime.now(UTC)).total_seconds()) + 0.1)


async def over(
    saga: Saga, deadlines: Deadlines = LONG, *present: SignUpRole, starts_in: timedelta = SOON, **wish: object
) -> Booked:
    """An accepted booking whose session is over. Those who were `present` were there all the time."""
    booked = await saga.accepted(starts_in=starts_in, lasts=SECOND, policy=policy(deadlines, **wish))
    terms = booked.order.terms
    async with AsyncSession(saga.engine) as session, session.begin():
        for role in present:
            for kind, at in ((AttendanceKind.JOINED, terms.starts_at), (AttendanceKind.LEFT, terms.ends_at)):
                session.add(
                    AttendanceEvent(
                        id=str(uuid4()),
                        booking_id=terms.booking_id,
                        kind=kind,
                        role=role,
                        connection=role,
                        at=at,
                        source=MeetingProvider.JAAS,
                    )
                )
    await until(terms.ends_at)
    return booked


async def completed_confirmed(saga: Saga) -> Handle:
    booked = await over(saga)
    await send(booked, "confirm", Confirm(actor=booked.student))
    return booked.handle


async def completed_as_recorded(saga: Saga) -> Handle:
    booked = await over(saga, LONG, *SignUpRole)
    await send(booked, "complete", Complete(actor=booked.instructor))
    return booked.handle


async def completed_unseen(saga: Saga) -> Handle:
    booked = await over(saga, SHORT)
    await send(booked, "complete", Complete(actor=booked.instructor))
    return booked.handle


async def completed_contradicted(saga: Saga) -> Handle:
    booked = await over(saga, SHORT, SignUpRole.STUDENT)
    await send(booked, "complete", Complete(actor=booked.instructor))
    return booked.handle


async def completed_objected(saga: Saga) -> Handle:
    booked = await over(saga)
    await send(booked, "complete", Complete(actor=booked.instructor))
    await send(booked, "object", Object(actor=booked.student))
    await saga.until_needs_attention(booked)
    await send(booked, "refund", SettleAndRefund(actor=OPERATOR, amount=THIRD))
    return booked.handle


async def student_absent(saga: Saga) -> Handle:
    booked = await over(saga, SHORT, SignUpRole.INSTRUCTOR)
    await send(booked, "report_no_show", ReportNoShow(actor=booked.instructor, absent=AbsentParty.STUDENT))
    return booked.handle


async def instructor_absent(saga: Saga) -> Handle:
    booked = await over(saga, SHORT)
    await send(booked, "report_no_show", ReportNoShow(actor=booked.student, absent=AbsentParty.INSTRUCTOR))
    return booked.handle


async def no_show_refuted(saga: Saga) -> Handle:
    booked = await over(saga, LONG, *SignUpRole)
    await send(booked, "report_no_show", ReportNoShow(actor=booked.instructor, absent=AbsentParty.STUDENT))
    await send(booked, "contest_no_show", ContestNoShow(actor=booked.student))
    return booked.handle


async def own_absence(saga: Saga) -> Handle:
    booked = await over(saga)
    await send(booked, "report_no_show", ReportNoShow(actor=booked.student, absent=AbsentParty.STUDENT))
    return booked.handle


async def completion_timeout_released(saga: Saga) -> Handle:
    return (await over(saga, SHORT)).handle


async def completion_timeout_settled(saga: Saga) -> Handle:
    return (await over(saga, SHORT, on_completion_timeout=CompletionTimeoutPolicy.SETTLE)).handle


async def rejected(saga: Saga) -> Handle:
    booked = await saga.paid()
    await send(booked, "reject", Reject(actor=booked.instructor))
    return booked.handle


async def approval_timeout(saga: Saga) -> Handle:
    booked = await saga.booked(policy=policy(SHORT))
    await booked.pay()
    return booked.handle


async def checkout_expired(saga: Saga) -> Handle:
    return (await saga.booked(policy=policy(SHORT))).handle


async def card_declined(saga: Saga) -> Handle:
    booked = await saga.booked(policy=policy(LONG.model_copy(update={"decline_grace": SECOND})))
    await booked.pay(POOR_CARD)
    return booked.handle


async def cancelled_unpaid(saga: Saga) -> Handle:
    booked = await saga.booked()
    await send(booked, "cancel", Cancel(actor=booked.student))
    return booked.handle


async def cancelled_before_approval(saga: Saga) -> Handle:
    booked = await saga.paid()
    await send(booked, "cancel", Cancel(actor=booked.student))
    return booked.handle


async def cancelled_late(saga: Saga) -> Handle:
    booked = await saga.accepted(starts_in=timedelta(hours=12))
    await send(booked, "cancel", Cancel(actor=booked.student))
    return booked.handle


async def cancelled_by_instructor(saga: Saga) -> Handle:
    booked = await saga.accepted(starts_in=timedelta(hours=12))
    await send(booked, "cancel", Cancel(actor=booked.instructor))
    return booked.handle


async def cancelled_in_temporal(saga: Saga) -> Handle:
    booked = await saga.accepted()
    await booked.handle.cancel()
    return booked.handle


async def settled_by_operator(saga: Saga) -> Handle:
    booked = await saga.accepted()
    await send(booked, "settle", Settle(actor=OPERATOR, has_reason=True))
    return booked.handle


async def released_by_operator(saga: Saga) -> Handle:
    booked = await saga.accepted()
    await send(booked, "release", Release(actor=OPERATOR))
    return booked.handle


async def refunded_by_operator(saga: Saga) -> Handle:
    booked = await saga.accepted()
    await send(booked, "extend", Extend(actor=OPERATOR, until=booked.order.terms.ends_at + timedelta(hours=3)))
    await send(booked, "refund", SettleAndRefund(actor=OPERATOR, amount=THIRD, has_reason=True))
    return booked.handle


async def moved_and_cancelled(saga: Saga) -> Handle:
    """At the new time half of the price is kept, at the old one it would be nothing."""
    booked = await saga.accepted()
    await move(booked, await proposal(saga, booked, timedelta(hours=12 - 72)))
    await send(booked, "cancel", Cancel(actor=booked.student))
    return booked.handle


async def decided_by_signals(saga: Saga) -> Handle:
    booked = await saga.booked(starts_in=SOON, lasts=SECOND, policy=policy())
    await booked.pay()
    await saga.until_stored(booked, PaymentStatus.PENDING)
    await booked.handle.signal("complete", Complete(actor=booked.instructor))  # ignored
    await booked.handle.signal("approve", {"actor": booked.instructor})
    await saga.until_status(booked, BookingStatus.ACCEPTED)
    await booked.handle.signal("cancel", Cancel(actor=booked.instructor))
    return booked.handle


async def slot_taken(saga: Saga) -> Handle:
    """The slot is free again by the time of the reset."""
    first = await saga.booked()
    handle = await _refused(saga, first.order, allow_overlap=True)
    await send(first, "cancel", Cancel(actor=first.student))
    return handle


async def limit_reached(saga: Saga) -> Handle:
    first = await saga.booked()
    order = await saga.order()
    terms = order.terms.model_copy(update={"student_id": first.order.terms.student_id})
    limits = BookingLimits(max_unpaid=1, max_unpaid_per_instructor=1)
    handle = await _refused(saga, order.model_copy(update={"terms": terms, "limits": limits}))
    await send(first, "cancel", Cancel(actor=first.student))
    return handle


async def _refused(saga: Saga, order: ReserveSlot, **wish: object) -> Handle:
    terms = order.terms.model_copy(update={"booking_id": uuid4()})
    try:
        await saga.start(order.model_copy(update={"terms": terms} | wish))
    except WorkflowUpdateFailedError:
        return saga.handle(terms.booking_id)
    raise AssertionError("the booking was not refused")


async def checkout_refused(saga: Saga) -> Handle:
    saga.faults.fail("before", "gateway.open_checkout", Declined("account_invalid"))
    order = await saga.order()
    try:
        await saga.start(order)
    except WorkflowUpdateFailedError:
        return saga.handle(order.terms.booking_id)
    raise AssertionError("the booking was not refused")


async def retried_by_operator(saga: Saga) -> Handle:
    booked = await parked(saga)
    await send(booked, "retry", Retry(actor=OPERATOR))
    return booked.handle


async def parked(saga: Saga) -> Booked:
    """A session that the student confirmed, and whose capture or transfer failed."""
    booked = await over(saga, starts_in=SOON_ALONE)
    saga.faults.fail("before", saga.call("gateway.capture"), Declined("test"))
    await send(booked, "confirm", Confirm(actor=booked.student))
    return booked


ALONE: tuple[Ending, ...] = (checkout_refused, retried_by_operator)
"""Played one after the other: their faults would meet other bookings."""
TOGETHER: tuple[Ending, ...] = (
    completed_confirmed,
    completed_as_recorded,
    completed_unseen,
    completed_contradicted,
    completed_objected,
    student_absent,
    instructor_absent,
    no_show_refuted,
    own_absence,
    completion_timeout_released,
    completion_timeout_settled,
    rejected,
    approval_timeout,
    checkout_expired,
    card_declined,
    cancelled_unpaid,
    cancelled_before_approval,
    cancelled_late,
    cancelled_by_instructor,
    cancelled_in_temporal,
    settled_by_operator,
    released_by_operator,
    refunded_by_operator,
    moved_and_cancelled,
    decided_by_signals,
    slot_taken,
    limit_reached,
)
CHARGED: tuple[Ending, ...] = (
    completed_confirmed,
    completed_objected,
    student_absent,
    rejected,
    cancelled_late,
    cancelled_in_temporal,
    refunded_by_operator,
)
"""Those in which the money of a charge moves otherwise than that of a hold: settled, refunded in part, released."""
