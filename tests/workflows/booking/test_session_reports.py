"""Who is believed of a session: the rows of the table, on skipped time, and who paid and got what at Stripe."""

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
    Approve,
    BookingView,
    Cancel,
    Complete,
    Confirm,
    ContestNoShow,
    Extend,
    Object,
    ReportNoShow,
    Retry,
    Settle,
    SettleAndRefund,
)
from models.domain.money import Money
from models.domain.notifications import NotificationKind, Recipient
from models.domain.payment_plans import EXPECTED_HOLD
from models.domain.policy import BookingPolicy, CompletionTimeoutPolicy, Deadlines, PaymentPlan
from models.domain.session_reports import Verdict
from models.domain.states import BookingStatus, PaymentStatus, SessionStatus
from models.tables.audit import AuditEvent
from models.tables.bookings import AttendanceEvent, LiveSession
from models.tables.outbox import OutboxMessage
from models.tables.session_reports import SessionReport
from sandbox.demo.figures import Figures
from tests.workflows.saga import Booked, Saga, both_plans
from workflows.booking.workflow import BookingWorkflow

pytestmark = both_plans

WINDOWS = Deadlines(contest_window=timedelta(hours=24), objection_window=timedelta(hours=12))
POLICY = BookingPolicy(deadlines=WINDOWS)
ALL, HALF, NOTHING = Figures(10_000, 8_000, 2_000, 320), Figures(5_000, 4_000, 1_000, 175), Figures()
OPERATOR = Actor(role=Role.OPERATOR, id=uuid4())
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


async def accepted(saga: Saga, policy: BookingPolicy = POLICY) -> Booked:
    booked = await saga.paid(policy=policy)
    await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))
    return booked


async def ended(saga: Saga, student: int = 0, instructor: int = 0, policy: BookingPolicy = POLICY) -> Booked:
    """The session is over, and each was there for so many minutes from its start on."""
    booked = await accepted(saga, policy)
    await booked.until_ended()
    await present(saga, booked, SignUpRole.STUDENT, student)
    await present(saga, booked, SignUpRole.INSTRUCTOR, instructor)
    return booked


async def complete(booked: Booked) -> BookingView:
    return await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))


async def confirm(booked: Booked) -> BookingView:
    return await booked.handle.execute_update(BookingWorkflow.confirm, Confirm(actor=booked.student))


async def object_to(booked: Booked) -> BookingView:
    return await booked.handle.execute_update(BookingWorkflow.object, Object(actor=booked.student))


async def report(booked: Booked, absent: AbsentParty = AbsentParty.STUDENT) -> BookingView:
    actor = booked.instructor if absent is AbsentParty.STUDENT else booked.student
    return await booked.handle.execute_update(BookingWorkflow.report_no_show, ReportNoShow(actor=actor, absent=absent))


async def contest(booked: Booked, absent: AbsentParty = AbsentParty.STUDENT) -> BookingView:
    actor = booked.student if absent is AbsentParty.STUDENT else booked.instructor
    return await booked.handle.execute_update(BookingWorkflow.contest_no_show, ContestNoShow(actor=actor))


async def present(saga: Saga, booked: Booked, role: SignUpRole, minutes: int) -> None:
    """From the session's beginning on."""
    terms = booked.order.terms
    async with AsyncSession(saga.engine) as session:
        for kind, at in (
            (AttendanceKind.JOINED, terms.starts_at),
            (AttendanceKind.LEFT, terms.starts_at + minutes * MINUTE),
        ):
            if minutes:
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


async def kept(saga: Saga, booked: Booked) -> SessionReport:
    async with AsyncSession(saga.engine) as session:
        return await session.get_one(SessionReport, booked.order.terms.booking_id)


async def mailed(saga: Saga, booked: Booked, kind: NotificationKind) -> dict[Recipient | None, dict[str, object]]:
    query = select(OutboxMessage).where(
        col(OutboxMessage.booking_id) == booked.order.terms.booking_id, col(OutboxMessage.kind) == kind
    )
    async with AsyncSession(saga.engine) as session:
        return {message.recipient_role: message.facts for message in await session.exec(query)}


async def session_status(saga: Saga, booked: Booked) -> SessionStatus:
    async with AsyncSession(saga.engine) as session:
        return (await session.get_one(LiveSession, booked.order.terms.booking_id)).status


async def test_a_completion_is_refused_before_the_end_unless_the_record_is_enough(saga: Saga) -> None:
    booked = await accepted(saga)
    await booked.until_begun()
    with pytest.raises(WorkflowUpdateFailedError):
        await complete(booked)
    for role in SignUpRole:
        await present(saga, booked, role, 30)
    await saga.env.sleep(30 * MINUTE)
    early = Complete(actor=booked.instructor, record_is_enough=True)
    view = await booked.handle.execute_update(BookingWorkflow.complete, early)
    assert (view.end_reason, view.payment_status) == (EndReason.COMPLETED, PaymentStatus.CAPTURED)
    assert await booked.figures() == ALL


async def test_a_completion_that_claims_too_much_of_the_record_waits_until_after_the_end(saga: Saga) -> None:
    booked = await accepted(saga)
    await booked.until_begun()
    await present(saga, booked, SignUpRole.STUDENT, 60)
    claimed = Complete(actor=booked.instructor, record_is_enough=True)
    view = await booked.handle.execute_update(BookingWorkflow.complete, claimed)
    assert view.session_status is SessionStatus.COMPLETION_REPORTED
    assert (await booked.result()).end_reason is EndReason.INSTRUCTOR_ABSENT


async def test_a_completion_that_the_record_shows_is_captured_at_once(saga: Saga) -> None:
    booked = await ended(saga, student=30, instructor=60)
    saga.faults.fail("after", "judge_session", Unknown("the answer was lost"))
    view = await complete(booked)
    assert (view.booking_status, view.payment_status) == (BookingStatus.COMPLETED, PaymentStatus.CAPTURED)
    assert saga.faults.all_taken
    assert await booked.figures() == ALL
    assert not await mailed(saga, booked, NotificationKind.COMPLETION_REPORTED)


@pytest.mark.parametrize(
    ("student", "instructor", "verdict", "reason", "figures"),
    [
        (0, 0, Verdict.NOTHING_RECORDED, EndReason.COMPLETED, ALL),
        (20, 60, Verdict.CUT_SHORT, EndReason.COMPLETED, ALL),
        (60, 0, Verdict.INSTRUCTOR_ABSENT, EndReason.INSTRUCTOR_ABSENT, NOTHING),
        (0, 60, Verdict.STUDENT_ABSENT, EndReason.STUDENT_ABSENT, ALL),
    ],
)
async def test_a_completion_with_a_silent_student_ends_when_the_window_does(
    saga: Saga, student: int, instructor: int, verdict: Verdict, reason: EndReason, figures: Figures
) -> None:
    booked = await ended(saga, student, instructor)
    view = await complete(booked)
    assert (view.booking_status, view.session_status) == (BookingStatus.ACCEPTED, SessionStatus.COMPLETION_REPORTED)
    assert await session_status(saga, booked) is SessionStatus.COMPLETION_REPORTED
    row, request = await kept(saga, booked), await booked.request()
    assert request is not None
    assert request.next_deadline_at == row.answer_until
    # The record is judged between the report and its being recorded.
    assert timedelta(0) <= row.reported_at + timedelta(hours=12) - row.answer_until < MINUTE
    told = await mailed(saga, booked, NotificationKind.COMPLETION_REPORTED)
    assert told == {recipient: {"until": row.answer_until.isoformat()} for recipient in Recipient}
    await saga.env.sleep(11 * HOUR)
    assert await session_status(saga, booked) is SessionStatus.COMPLETION_REPORTED
    view = await booked.result()
    assert view.end_reason is reason
    assert await booked.figures() == saga.under_plan(figures)
    assert (await kept(saga, booked)).verdict is verdict


async def test_a_completion_that_the_record_contradicts_unclearly_goes_to_an_operator(saga: Saga) -> None:
    booked = await ended(saga, instructor=5)
    await complete(booked)
    await saga.env.sleep(13 * HOUR)
    await saga.until_needs_attention(booked)
    assert set(await mailed(saga, booked, NotificationKind.UNDER_REVIEW)) == set(Recipient)
    view = await confirm(booked)
    assert (view.end_reason, view.needs_attention) == (EndReason.COMPLETED, False)
    assert await booked.figures() == ALL


@pytest.mark.parametrize(
    ("student", "reason", "payment"),
    [
        (0, EndReason.COMPLETED, PaymentStatus.CAPTURED),
        (60, EndReason.INSTRUCTOR_ABSENT, PaymentStatus.REFUNDED),
    ],
)
async def test_without_a_window_a_completion_is_judged_at_once(
    saga: Saga, student: int, reason: EndReason, payment: PaymentStatus
) -> None:
    booked = await ended(saga, student=student, policy=BookingPolicy())
    view = await complete(booked)
    assert (view.end_reason, view.payment_status) == (reason, payment)


async def test_the_window_ends_while_the_money_is_held(saga: Saga) -> None:
    deadlines = Deadlines(objection_window=timedelta(days=30), holding_limit=timedelta(days=10))
    booked = await ended(saga, policy=BookingPolicy(deadlines=deadlines))
    await complete(booked)
    payment = await booked.payment()
    assert payment is not None
    assert payment.hold_ends_at is not None
    assert (await kept(saga, booked)).answer_until == payment.hold_ends_at - WINDOWS.hold_margin
    assert (await booked.result()).payment_status is PaymentStatus.CAPTURED


@pytest.mark.parametrize("reported", ["nothing", "completion", "no-show of the student", "no-show of the instructor"])
async def test_a_confirmation_is_captured_at_once_whatever_was_reported(saga: Saga, reported: str) -> None:
    booked = await accepted(saga)
    with pytest.raises(WorkflowUpdateFailedError):
        await confirm(booked)
    if reported == "completion":
        await booked.until_ended()
        await complete(booked)
    elif reported == "nothing":
        await booked.until_begun()
    else:
        await booked.until_waited()
        await report(booked, AbsentParty.STUDENT if reported.endswith("student") else AbsentParty.INSTRUCTOR)
    view = await confirm(booked)
    assert (view.end_reason, view.payment_status) == (EndReason.COMPLETED, PaymentStatus.CAPTURED)
    assert await booked.figures() == ALL


@pytest.mark.parametrize(
    ("student", "instructor", "reason", "figures"),
    [(60, 0, EndReason.INSTRUCTOR_ABSENT, NOTHING), (0, 60, EndReason.STUDENT_ABSENT, ALL)],
)
async def test_an_objection_is_decided_by_a_clear_record(
    saga: Saga, student: int, instructor: int, reason: EndReason, figures: Figures
) -> None:
    booked = await ended(saga, student, instructor)
    with pytest.raises(WorkflowUpdateFailedError):
        await object_to(booked)
    await complete(booked)
    view = await object_to(booked)
    assert view.end_reason is reason
    assert await booked.figures() == saga.under_plan(figures)


@pytest.mark.parametrize(("student", "instructor"), [(0, 0), (20, 60)])
async def test_an_objection_that_the_record_does_not_decide_goes_to_an_operator(
    saga: Saga, student: int, instructor: int
) -> None:
    booked = await ended(saga, student, instructor)
    await complete(booked)
    assert (await object_to(booked)).needs_attention
    with pytest.raises(WorkflowUpdateFailedError):
        await object_to(booked)
    refund = SettleAndRefund(actor=OPERATOR, amount=Money(amount_minor=5_000, currency="usd"))
    view = await booked.handle.execute_update(BookingWorkflow.refund, refund)
    assert (view.booking_status, view.session_status) == (BookingStatus.COMPLETED, SessionStatus.COMPLETED)
    assert await booked.figures() == saga.under_plan(HALF)


@pytest.mark.parametrize(
    ("absent", "reason", "figures"),
    [
        (AbsentParty.STUDENT, EndReason.STUDENT_ABSENT, ALL),
        (AbsentParty.INSTRUCTOR, EndReason.INSTRUCTOR_ABSENT, NOTHING),
    ],
)
async def test_an_uncontested_report_that_nothing_contradicts_counts_when_its_window_is_over(
    saga: Saga, absent: AbsentParty, reason: EndReason, figures: Figures
) -> None:
    booked = await accepted(saga)
    await booked.until_begun()
    with pytest.raises(WorkflowUpdateFailedError):
        await report(booked, absent)
    await booked.until_waited()
    view = await report(booked, absent)
    assert (view.booking_status, view.session_status) == (BookingStatus.ACCEPTED, SessionStatus.SCHEDULED)
    row, request = await kept(saga, booked), await booked.request()
    assert request is not None
    assert (row.absent, row.answered_at) == (absent, None)
    assert request.next_deadline_at == row.answer_until
    assert row.answer_until - row.reported_at == timedelta(days=1)
    told = await mailed(saga, booked, NotificationKind.NO_SHOW_REPORTED)
    assert told == {recipient: {"until": row.answer_until.isoformat(), "absent": absent} for recipient in Recipient}
    await saga.env.sleep(timedelta(hours=23))
    still = await booked.request()
    assert still is not None
    assert still.status is BookingStatus.ACCEPTED
    view = await booked.result()
    assert (view.booking_status, view.end_reason) == (BookingStatus.NO_SHOW, reason)
    assert await booked.figures() == saga.under_plan(figures)
    async with AsyncSession(saga.engine) as session:
        by = await session.exec(
            select(AuditEvent.actor_role).where(
                col(AuditEvent.booking_id) == booked.order.terms.booking_id,
                col(AuditEvent.action) == "booking.no_show",
            )
        )
        assert by.one() == ("instructor" if absent is AbsentParty.STUDENT else "student")


@pytest.mark.parametrize(
    ("absent", "student", "instructor", "reason", "figures"),
    [
        (AbsentParty.STUDENT, 60, 0, EndReason.INSTRUCTOR_ABSENT, NOTHING),
        (AbsentParty.STUDENT, 13, 0, EndReason.INSTRUCTOR_ABSENT, NOTHING),
        (AbsentParty.STUDENT, 60, 60, EndReason.NO_SHOW_REFUTED, ALL),
        (AbsentParty.INSTRUCTOR, 60, 60, EndReason.NO_SHOW_REFUTED, ALL),
        (AbsentParty.INSTRUCTOR, 0, 60, EndReason.STUDENT_ABSENT, ALL),
        (AbsentParty.INSTRUCTOR, 60, 5, None, None),
    ],
)
@pytest.mark.parametrize("contested", [False, True])
async def test_a_report_that_the_record_contradicts_does_not_count(
    saga: Saga,
    absent: AbsentParty,
    student: int,
    instructor: int,
    reason: EndReason | None,
    figures: Figures | None,
    contested: bool,
) -> None:
    booked = await ended(saga, student, instructor)
    await report(booked, absent)
    if contested:
        await contest(booked, absent)
    if reason is None or figures is None:
        await saga.env.sleep(timedelta(hours=25))
        await saga.until_needs_attention(booked)
        return
    assert (await booked.result()).end_reason is reason
    assert await booked.figures() == saga.under_plan(figures)


async def test_a_contested_report_is_judged_at_the_sessions_end_against_the_planned_length(saga: Saga) -> None:
    booked = await accepted(saga)
    await booked.until_waited()
    # Both were together for all of the time so far, and then the instructor left.
    await present(saga, booked, SignUpRole.STUDENT, 60)
    await present(saga, booked, SignUpRole.INSTRUCTOR, 11)
    await report(booked, AbsentParty.INSTRUCTOR)
    view = await contest(booked, AbsentParty.INSTRUCTOR)
    request = await booked.request()
    assert request is not None
    assert (view.booking_status, view.needs_attention) == (BookingStatus.ACCEPTED, False)
    assert request.next_deadline_at == booked.order.terms.ends_at
    await booked.until_ended()
    await saga.until_needs_attention(booked)
    row = await kept(saga, booked)
    assert row.verdict is Verdict.CUT_SHORT
    assert row.answered_at


async def test_an_operator_has_the_record_judged_again(saga: Saga) -> None:
    booked = await ended(saga)
    await report(booked)
    assert (await contest(booked)).needs_attention
    # The provider's reports came late.
    for role in SignUpRole:
        await present(saga, booked, role, 60)
    await booked.handle.execute_update(BookingWorkflow.retry, Retry(actor=OPERATOR))
    view = await booked.result()
    assert (view.end_reason, view.needs_attention) == (EndReason.NO_SHOW_REFUTED, False)
    assert await booked.figures() == ALL


async def test_without_an_operators_decision_the_money_goes_back_while_it_is_held(saga: Saga) -> None:
    booked = await ended(saga)
    await report(booked)
    assert (await contest(booked)).needs_attention
    view = await booked.result()
    assert (view.booking_status, view.payment_status) == (BookingStatus.CANCELLED, PaymentStatus.REFUNDED)
    assert view.end_reason is EndReason.COMPLETION_TIMEOUT
    held_for = EXPECTED_HOLD if saga.plan is PaymentPlan.HOLD else WINDOWS.holding_limit
    assert held_for - 7 * HOUR < await booked.lasted() < held_for - 5 * HOUR


async def test_a_platform_that_settles_on_silence_pays_no_absent_instructor(saga: Saga) -> None:
    settling = BookingPolicy(deadlines=WINDOWS, on_completion_timeout=CompletionTimeoutPolicy.SETTLE)
    booked = await ended(saga, student=60, policy=settling)
    assert (await booked.result()).end_reason is EndReason.INSTRUCTOR_ABSENT
    assert await booked.figures() == saga.under_plan(NOTHING)


async def test_while_a_report_can_be_answered_neither_side_can_report_something_else(saga: Saga) -> None:
    booked = await accepted(saga)
    await booked.until_waited()
    handle = booked.handle
    with pytest.raises(WorkflowUpdateFailedError):
        await contest(booked)
    await report(booked)
    for refused in (
        complete(booked),
        report(booked, AbsentParty.INSTRUCTOR),
        handle.execute_update(BookingWorkflow.contest_no_show, ContestNoShow(actor=booked.instructor)),
        object_to(booked),
    ):
        with pytest.raises(WorkflowUpdateFailedError):
            await refused
    view = await handle.execute_update(BookingWorkflow.cancel, Cancel(actor=booked.instructor))
    assert view.booking_status is BookingStatus.CANCELLED


@pytest.mark.parametrize("says", [complete, report])
async def test_an_operator_extends_the_window_and_decides_in_it(saga: Saga, says: object) -> None:
    booked = await ended(saga)
    assert callable(says)
    await says(booked)
    until = (await kept(saga, booked)).answer_until + timedelta(hours=12)
    await booked.handle.execute_update(BookingWorkflow.extend, Extend(actor=OPERATOR, until=until))
    assert (await kept(saga, booked)).answer_until == until
    await saga.env.sleep(timedelta(hours=20))
    view = await booked.handle.execute_update(BookingWorkflow.settle, Settle(actor=OPERATOR))
    assert (view.booking_status, view.end_reason) == (BookingStatus.COMPLETED, EndReason.SETTLED_BY_OPERATOR)


@pytest.mark.parametrize(("absent", "figures"), [(AbsentParty.STUDENT, ALL), (AbsentParty.INSTRUCTOR, NOTHING)])
async def test_a_party_who_reports_themselves_absent_has_cancelled(
    saga: Saga, absent: AbsentParty, figures: Figures
) -> None:
    booked = await accepted(saga)
    await booked.until_begun()
    actor = booked.student if absent is AbsentParty.STUDENT else booked.instructor
    own = ReportNoShow(actor=actor, absent=absent)
    view = await booked.handle.execute_update(BookingWorkflow.report_no_show, own)
    assert (view.booking_status, view.end_reason) == (BookingStatus.CANCELLED, EndReason.CANCELLED)
    assert await booked.figures() == saga.under_plan(figures)
