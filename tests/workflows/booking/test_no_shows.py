"""A reported no-show waits for a contest. The attendance decides clear cases, an operator the others."""

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WorkflowUpdateFailedError

from models.domain.actors import AbsentParty, Actor, Role, SignUpRole
from models.domain.attendance import AttendanceKind, MeetingProvider
from models.domain.endings import EndReason
from models.domain.errors import Unknown
from models.domain.messages import (
    BookingView,
    Cancel,
    Complete,
    ContestNoShow,
    Extend,
    ReportNoShow,
    Retry,
    Settle,
    SettleAndRefund,
)
from models.domain.money import Money
from models.domain.no_shows import NoShowVerdict
from models.domain.notifications import NotificationKind, Recipient
from models.domain.policy import BookingPolicy, Deadlines
from models.domain.states import BookingStatus, PaymentStatus
from models.tables.audit import AuditEvent
from models.tables.bookings import AttendanceEvent
from models.tables.no_shows import NoShowReport
from models.tables.outbox import OutboxMessage
from sandbox.demo.figures import Figures
from tests.workflows.saga import Booked, Saga
from workflows.booking.workflow import BookingWorkflow

WITH_A_DAY = BookingPolicy(deadlines=Deadlines(contest_window=timedelta(hours=24)))
ALL, HALF, NOTHING = Figures(10_000, 8_000, 2_000, 320), Figures(5_000, 4_000, 1_000, 175), Figures()
OPERATOR = Actor(role=Role.OPERATOR, id=uuid4())
MINUTE = timedelta(minutes=1)


async def started(saga: Saga) -> Booked:
    booked = await saga.accepted(policy=WITH_A_DAY)
    await booked.until_begun()
    return booked


async def report(booked: Booked, absent: AbsentParty = AbsentParty.STUDENT) -> BookingView:
    actor = booked.instructor if absent is AbsentParty.STUDENT else booked.student
    return await booked.handle.execute_update(BookingWorkflow.report_no_show, ReportNoShow(actor=actor, absent=absent))


async def contest(booked: Booked, absent: AbsentParty = AbsentParty.STUDENT) -> BookingView:
    actor = booked.student if absent is AbsentParty.STUDENT else booked.instructor
    return await booked.handle.execute_update(BookingWorkflow.contest_no_show, ContestNoShow(actor=actor))


async def attend(saga: Saga, booked: Booked, role: SignUpRole, minutes: int) -> None:
    """Record that a party was in the meeting for the first `minutes` of the session."""
    terms = booked.order.terms
    async with AsyncSession(saga.engine) as session:
        for kind, at in (
            (AttendanceKind.JOINED, terms.starts_at),
            (AttendanceKind.LEFT, terms.starts_at + minutes * MINUTE),
        ):
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
        await session.commit()


async def stored_report(saga: Saga, booked: Booked) -> NoShowReport:
    async with AsyncSession(saga.engine) as session:
        return await session.get_one(NoShowReport, booked.order.terms.booking_id)


@pytest.mark.parametrize(
    ("absent", "reason", "figures"),
    [
        (AbsentParty.STUDENT, EndReason.STUDENT_ABSENT, HALF),
        (AbsentParty.INSTRUCTOR, EndReason.INSTRUCTOR_ABSENT, NOTHING),
    ],
)
async def test_uncontested_report_counts_at_the_end_of_its_window(
    saga: Saga, absent: AbsentParty, reason: EndReason, figures: Figures
) -> None:
    booked = await started(saga)
    view = await report(booked, absent)
    assert (view.booking_status, view.needs_attention) == (BookingStatus.ACCEPTED, False)
    row, request = await stored_report(saga, booked), await booked.request()
    assert request is not None
    assert (row.absent, row.contested_at) == (absent, None)
    assert request.next_deadline_at == row.contest_until
    assert row.contest_until - row.reported_at == timedelta(days=1)
    await saga.env.sleep(timedelta(hours=23))
    still = await booked.request()
    assert still is not None
    assert still.status is BookingStatus.ACCEPTED
    view = await booked.result()
    assert (view.booking_status, view.end_reason) == (BookingStatus.NO_SHOW, reason)
    assert await booked.figures() == figures
    async with AsyncSession(saga.engine) as session:
        ended = await session.exec(
            select(AuditEvent.actor_role).where(
                col(AuditEvent.booking_id) == booked.order.terms.booking_id,
                col(AuditEvent.action) == "booking.no_show",
            )
        )
        # The report counts, so its author is the actor.
        assert ended.one() == ("instructor" if absent is AbsentParty.STUDENT else "student")


async def test_absent_party_is_notified_of_the_contest_deadline(saga: Saga) -> None:
    booked = await started(saga)
    await report(booked)
    row = await stored_report(saga, booked)
    query = select(OutboxMessage).where(
        col(OutboxMessage.booking_id) == booked.order.terms.booking_id,
        col(OutboxMessage.kind) == NotificationKind.NO_SHOW_REPORTED,
    )
    async with AsyncSession(saga.engine) as session:
        message = (await session.exec(query)).one()
    assert message.recipient_role is Recipient.STUDENT
    assert message.facts == {"until": row.contest_until.isoformat()}


@pytest.mark.parametrize(
    ("student", "instructor", "verdict", "reason", "figures"),
    [
        (60, 60, NoShowVerdict.BOTH_CAME, EndReason.NO_SHOW_REFUTED, ALL),
        (0, 60, NoShowVerdict.BORNE_OUT, EndReason.STUDENT_ABSENT, HALF),
        (60, 0, NoShowVerdict.REPORTER_ABSENT, EndReason.INSTRUCTOR_ABSENT, NOTHING),
    ],
)
async def test_contested_report_is_decided_by_the_attendance(
    saga: Saga, student: int, instructor: int, verdict: NoShowVerdict, reason: EndReason, figures: Figures
) -> None:
    booked = await started(saga)
    await report(booked)
    await saga.env.sleep(timedelta(hours=2))
    if student:
        await attend(saga, booked, SignUpRole.STUDENT, student)
    if instructor:
        await attend(saga, booked, SignUpRole.INSTRUCTOR, instructor)
    saga.faults.fail("after", "judge_no_show", Unknown("the response was lost"))
    view = await contest(booked)
    assert view == await booked.result()
    assert saga.faults.all_taken
    assert view.end_reason is reason
    assert await booked.figures() == figures
    row = await stored_report(saga, booked)
    assert row.verdict is verdict
    assert row.contested_at


async def test_unclear_contest_waits_for_an_operator(saga: Saga) -> None:
    booked = await started(saga)
    await report(booked, AbsentParty.INSTRUCTOR)
    view = await contest(booked, AbsentParty.INSTRUCTOR)
    assert (view.booking_status, view.needs_attention) == (BookingStatus.ACCEPTED, True)
    request = await booked.request()
    assert request is not None
    assert "contested" in (request.attention_reason or "")
    assert (await stored_report(saga, booked)).verdict is NoShowVerdict.UNCLEAR
    with pytest.raises(WorkflowUpdateFailedError):
        await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    refund = SettleAndRefund(actor=OPERATOR, amount=Money(amount_minor=5_000, currency="usd"))
    view = await booked.handle.execute_update(BookingWorkflow.refund, refund)
    assert (view.booking_status, view.needs_attention) == (BookingStatus.COMPLETED, False)
    assert view == await booked.result()
    assert await booked.figures() == HALF


async def test_operator_has_the_attendance_judged_again(saga: Saga) -> None:
    booked = await started(saga)
    await report(booked)
    assert (await contest(booked)).needs_attention
    # The meeting provider's events arrived late.
    await saga.env.sleep(timedelta(hours=2))
    for role in SignUpRole:
        await attend(saga, booked, role, 60)
    await booked.handle.execute_update(BookingWorkflow.retry, Retry(actor=OPERATOR))
    view = await booked.result()
    assert (view.end_reason, view.needs_attention) == (EndReason.NO_SHOW_REFUTED, False)
    assert await booked.figures() == ALL


async def test_contested_hold_is_released_before_it_ends(saga: Saga) -> None:
    booked = await started(saga)
    await report(booked)
    assert (await contest(booked)).needs_attention
    view = await booked.result()
    assert (view.booking_status, view.payment_status) == (BookingStatus.CANCELLED, PaymentStatus.REFUNDED)
    assert view.end_reason is EndReason.COMPLETION_TIMEOUT
    # Six hours before the week of the hold is over.
    assert timedelta(days=6, hours=17) < await booked.lasted() < timedelta(days=6, hours=19)


async def test_other_reports_are_refused_during_the_contest_window(saga: Saga) -> None:
    booked = await started(saga)
    handle = booked.handle
    with pytest.raises(WorkflowUpdateFailedError):
        await contest(booked)
    await report(booked)
    for refused in (
        handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor)),
        handle.execute_update(
            BookingWorkflow.report_no_show, ReportNoShow(actor=booked.student, absent=AbsentParty.INSTRUCTOR)
        ),
        handle.execute_update(BookingWorkflow.contest_no_show, ContestNoShow(actor=booked.instructor)),
    ):
        with pytest.raises(WorkflowUpdateFailedError):
            await refused
    view = await handle.execute_update(BookingWorkflow.cancel, Cancel(actor=booked.instructor))
    assert view.booking_status is BookingStatus.CANCELLED


async def test_operator_extends_the_contest_window_and_settles(saga: Saga) -> None:
    booked = await started(saga)
    await report(booked)
    until = (await stored_report(saga, booked)).contest_until + timedelta(hours=12)
    await booked.handle.execute_update(BookingWorkflow.extend, Extend(actor=OPERATOR, until=until))
    assert (await stored_report(saga, booked)).contest_until == until
    await saga.env.sleep(timedelta(hours=30))
    view = await booked.handle.execute_update(BookingWorkflow.settle, Settle(actor=OPERATOR))
    assert (view.booking_status, view.end_reason) == (BookingStatus.COMPLETED, EndReason.SETTLED_BY_OPERATOR)


async def test_report_of_own_absence_counts_at_once(saga: Saga) -> None:
    booked = await started(saga)
    own = ReportNoShow(actor=booked.student, absent=AbsentParty.STUDENT)
    view = await booked.handle.execute_update(BookingWorkflow.report_no_show, own)
    assert (view.booking_status, view.end_reason) == (BookingStatus.NO_SHOW, EndReason.STUDENT_ABSENT)
