"""Every way in which a booking ends, with the default deadlines, and who paid and received what at Stripe."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from models.domain.actors import AbsentParty
from models.domain.endings import EndReason
from models.domain.messages import Approve, BookingView, Cancel, Channel, Complete, Reject, ReportNoShow
from models.domain.money import Money
from models.domain.policy import BookingPolicy, CompletionTimeoutPolicy, PaymentPlan
from models.domain.states import BookingStatus, PaymentStatus, SessionStatus
from models.tables.audit import AuditEvent
from sandbox.browser.checkout_page import GOOD_CARD, POOR_CARD, CheckoutClosed, pay
from sandbox.demo.figures import Figures
from tests.workflows.saga import Booked, Saga
from workflows.booking.workflow import BookingWorkflow

pytestmark = [pytest.mark.uncached, pytest.mark.parametrize("plan", list(PaymentPlan))]

NOTHING = Figures()
ALL = Figures(10_000, 8_000, 2_000, 320)
HALF = Figures(5_000, 4_000, 1_000, 175)

Act = Callable[[Booked], Awaitable[BookingView]]


async def _accepted(saga: Saga, **wish: object) -> Booked:
    booked = await saga.paid(**wish)
    view = await booked.handle.execute_update(
        BookingWorkflow.approve, Approve(actor=booked.instructor, channel=Channel.API)
    )
    assert view.booking_status is BookingStatus.ACCEPTED
    assert view.session_status is SessionStatus.SCHEDULED
    return booked


async def _complete(booked: Booked) -> BookingView:
    return await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))


async def _student_absent(booked: Booked) -> BookingView:
    report = ReportNoShow(actor=booked.instructor, absent=AbsentParty.STUDENT)
    return await booked.handle.execute_update(BookingWorkflow.report_no_show, report)


async def _instructor_absent(booked: Booked) -> BookingView:
    report = ReportNoShow(actor=booked.student, absent=AbsentParty.INSTRUCTOR)
    return await booked.handle.execute_update(BookingWorkflow.report_no_show, report)


@pytest.mark.parametrize(
    ("act", "booking", "payment", "reason", "figures"),
    [
        (_complete, BookingStatus.COMPLETED, PaymentStatus.CAPTURED, EndReason.COMPLETED, ALL),
        (_student_absent, BookingStatus.NO_SHOW, PaymentStatus.CAPTURED, EndReason.STUDENT_ABSENT, ALL),
        (_instructor_absent, BookingStatus.NO_SHOW, PaymentStatus.REFUNDED, EndReason.INSTRUCTOR_ABSENT, NOTHING),
    ],
    ids=["completed", "student absent", "instructor absent"],
)
async def test_report_of_the_session_decides_the_split(
    saga: Saga, act: Act, booking: BookingStatus, payment: PaymentStatus, reason: EndReason, figures: Figures
) -> None:
    booked = await _accepted(saga)
    await booked.until_ended()
    view = await act(booked)
    assert view == await booked.result()
    assert (view.booking_status, view.payment_status, view.end_reason) == (booking, payment, reason)
    assert await booked.figures() == saga.under_plan(figures)
    request, row = await booked.request(), await booked.payment()
    assert request is not None
    assert row is not None
    assert (request.status, row.status) == (booking, payment)
    assert request.next_deadline_at is None


@pytest.mark.parametrize(
    ("hours_before", "figures", "payment"),
    [
        (24.5, NOTHING, PaymentStatus.REFUNDED),
        (23.5, HALF, PaymentStatus.PARTIALLY_REFUNDED),
        (1.5, ALL, PaymentStatus.CAPTURED),
    ],
)
async def test_late_cancellation_by_the_student_is_refunded_by_tier(
    saga: Saga, hours_before: float, figures: Figures, payment: PaymentStatus
) -> None:
    booked = await _accepted(saga)
    now = await saga.env.get_current_time()
    await saga.env.sleep(booked.order.terms.starts_at - now - timedelta(hours=hours_before))
    view = await booked.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=booked.student))
    assert (view.booking_status, view.payment_status) == (BookingStatus.CANCELLED, payment)
    assert await booked.figures() == saga.under_plan(figures)


async def test_late_cancellation_by_the_instructor_is_refunded_in_full(saga: Saga) -> None:
    booked = await _accepted(saga, starts_in=timedelta(hours=3))
    view = await booked.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=booked.instructor))
    assert (view.booking_status, view.payment_status) == (BookingStatus.CANCELLED, PaymentStatus.REFUNDED)
    assert await booked.figures() == saga.under_plan(NOTHING)


async def test_cancellation_before_the_approval_is_refunded_in_full(saga: Saga) -> None:
    booked = await saga.paid(starts_in=timedelta(hours=3))
    view = await booked.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=booked.student))
    assert (view.booking_status, view.session_status) == (BookingStatus.CANCELLED, None)
    assert await booked.figures() == saga.under_plan(NOTHING)


async def test_cancellation_before_paying_closes_the_checkout(saga: Saga) -> None:
    booked = await saga.booked()
    view = await booked.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=booked.student))
    assert (view.booking_status, view.payment_status) == (BookingStatus.CANCELLED, None)
    with pytest.raises(CheckoutClosed):
        await pay(booked.checkout_url)


async def test_cancellation_before_the_payment_event_is_refunded_in_full(saga: Saga) -> None:
    booked = await saga.booked()
    assert await pay(booked.checkout_url)
    view = await booked.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=booked.student))
    assert (view.booking_status, view.payment_status) == (BookingStatus.CANCELLED, PaymentStatus.REFUNDED)
    row = await booked.payment()
    assert row is not None
    assert row.status is PaymentStatus.REFUNDED


async def test_rejection_returns_everything(saga: Saga) -> None:
    booked = await saga.paid()
    view = await booked.handle.execute_update(BookingWorkflow.reject, Reject(actor=booked.instructor))
    assert (view.booking_status, view.payment_status) == (BookingStatus.REJECTED, PaymentStatus.REFUNDED)
    assert await booked.figures() == saga.under_plan(NOTHING)


async def test_booking_expires_a_day_after_no_decision(saga: Saga) -> None:
    booked = await saga.paid()
    view = await booked.result()
    assert (view.booking_status, view.end_reason) == (BookingStatus.EXPIRED, EndReason.APPROVAL_TIMEOUT)
    assert await booked.figures() == saga.under_plan(NOTHING)
    assert timedelta(hours=24) < await booked.lasted() < timedelta(hours=24, minutes=5)


async def test_booking_expires_at_the_start_of_the_session(saga: Saga) -> None:
    booked = await saga.paid(starts_in=timedelta(hours=2))
    view = await booked.result()
    assert view.booking_status is BookingStatus.EXPIRED
    assert await booked.lasted() < timedelta(hours=2, minutes=1)


@pytest.mark.parametrize(
    ("on_completion_timeout", "booking", "figures"),
    [
        (CompletionTimeoutPolicy.RELEASE, BookingStatus.CANCELLED, NOTHING),
        (CompletionTimeoutPolicy.SETTLE, BookingStatus.COMPLETED, ALL),
    ],
)
async def test_completion_timeout_follows_the_policy(
    saga: Saga, on_completion_timeout: CompletionTimeoutPolicy, booking: BookingStatus, figures: Figures
) -> None:
    booked = await _accepted(saga, policy=BookingPolicy(on_completion_timeout=on_completion_timeout))
    view = await booked.result()
    assert (view.booking_status, view.end_reason) == (booking, EndReason.COMPLETION_TIMEOUT)
    assert await booked.figures() == saga.under_plan(figures)


async def test_unpaid_booking_is_deleted_at_the_checkout_deadline(saga: Saga) -> None:
    booked = await saga.booked()
    view = await booked.result()
    assert (view.booking_status, view.payment_status) == (None, PaymentStatus.FAILED)
    assert view.end_reason is EndReason.CHECKOUT_EXPIRED
    assert await booked.request() is None
    with pytest.raises(CheckoutClosed):
        await pay(booked.checkout_url)


async def test_booking_is_deleted_after_a_declined_card(saga: Saga) -> None:
    booked = await saga.booked()
    await booked.pay(POOR_CARD)
    view = await booked.result()
    assert (view.payment_status, view.end_reason) == (PaymentStatus.FAILED, EndReason.CARD_DECLINED)
    assert await booked.lasted() < booked.order.terms.policy.deadlines.checkout_window
    row = await booked.payment()
    assert row is not None
    assert row.decline_code == "insufficient_funds"
    query = select(AuditEvent.detail).where(
        AuditEvent.booking_id == booked.order.terms.booking_id, AuditEvent.action == "booking.deleted"
    )
    async with AsyncSession(saga.engine) as session:
        detail = (await session.exec(query)).one()
    assert detail["advice_code"] == "try_again_later"


async def test_second_card_after_a_declined_one_secures_the_booking(saga: Saga) -> None:
    booked = await saga.booked()
    await booked.pay(POOR_CARD)
    await saga.env.sleep(30)
    await booked.pay(GOOD_CARD)
    await saga.until_stored(booked, PaymentStatus.PENDING)


async def test_payment_is_found_at_the_deadline_when_its_event_is_lost(saga: Saga) -> None:
    booked = await saga.booked()
    assert await pay(booked.checkout_url)
    await saga.env.sleep(timedelta(minutes=31))
    await saga.until_stored(booked, PaymentStatus.PENDING)


async def test_without_a_fee_the_instructor_receives_the_full_amount(saga: Saga) -> None:
    booked = await _accepted(saga, price=Money(amount_minor=5_000, currency="jpy"), policy=BookingPolicy(fee_bps=0))
    await booked.until_ended()
    await _complete(booked)
    figures = await booked.figures()
    assert (figures.student_paid_minor, figures.instructor_received_minor) == (5_000, 5_000)
