"""A hold that is too short for its session: the student pays again before it, or the booking is cancelled in time.

The sandbox is the test's own: its clock moves with the workflow's.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import pytest
from temporalio.client import WorkflowUpdateFailedError

from models.domain.actors import Actor, Role
from models.domain.endings import EndReason
from models.domain.errors import Declined, Unknown
from models.domain.messages import Cancel, Complete, Release, Retry
from models.domain.notifications import NotificationKind, Recipient
from models.domain.policy import PaymentPlan
from models.domain.states import BookingStatus, PaymentStatus
from sandbox.browser.checkout_page import POOR_CARD, CheckoutClosed, pay
from sandbox.demo.figures import Figures
from tests.conftest import StripeSandbox
from tests.own_stripe import own_sandbox
from tests.workflows.booking.renewal_steps import (
    DAY,
    HOUR,
    assert_ledger_is_stripes,
    control,
    intents_of,
    mailed,
    pass_time,
    pay_again,
    renewal_of,
    total,
    until_asked,
    with_short_hold,
)
from tests.workflows.booking.reschedule_steps import move, proposal
from tests.workflows.saga import Booked, Saga
from workflows.booking.workflow import BookingWorkflow

OPERATOR = Actor(role=Role.OPERATOR, id=UUID(int=3))
ALL, FEE_ONLY = Figures(10_000, 8_000, 2_000, 320), Figures(0, 0, 0, 320)
BOTH = [Recipient.INSTRUCTOR, Recipient.STUDENT]


@pytest.fixture
async def stripe_sandbox() -> AsyncIterator[StripeSandbox]:
    async with own_sandbox() as sandbox:
        yield sandbox


async def renewed(booked: Booked) -> None:
    await booked.saga.until_audited(booked, "booking.payment_renewed")


async def completed(booked: Booked) -> None:
    """The session takes place, and its price is settled."""
    await booked.until_ended()
    view = await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert (view.booking_status, view.payment_status) == (BookingStatus.COMPLETED, PaymentStatus.CAPTURED)
    assert await total(booked) == ALL
    await assert_ledger_is_stripes(booked.saga)


async def test_a_hold_that_is_too_short_is_released_once_the_student_has_paid_again(saga: Saga) -> None:
    booked = await with_short_hold(saga)
    asked = await until_asked(booked)
    assert (asked.reason, asked.amount_minor) == ("hold_too_short", 10_000)
    # A day before the session would be after the hold's end, less its margin.
    payment = await booked.payment()
    assert payment is not None
    assert payment.hold_ends_at is not None
    assert asked.pay_by == payment.hold_ends_at - 6 * HOUR
    request = await booked.request()
    assert request is not None
    assert request.next_deadline_at == asked.pay_by
    assert await mailed(booked, NotificationKind.PAYMENT_RENEWAL) == BOTH
    assert [each.status for each in await intents_of(booked)] == ["requires_capture"]

    states: list[list[str]] = []

    async def look() -> None:
        states.append([each.status for each in await intents_of(booked)])

    saga.faults.plan("before", "gateway.cancel", look)
    assert await pay_again(booked)
    await renewed(booked)
    # The old hold was there until the new payment was.
    assert states == [["requires_capture", "succeeded"]]
    assert [each.status for each in await intents_of(booked)] == ["canceled", "succeeded"]
    request, payment, row = await booked.request(), await booked.payment(), await renewal_of(booked)
    assert request is not None
    assert payment is not None
    assert row is not None
    assert (request.plan, payment.plan, payment.status) == (
        PaymentPlan.CHARGE_THEN_TRANSFER,
        PaymentPlan.CHARGE_THEN_TRANSFER,
        PaymentStatus.PENDING,
    )
    assert (row.checkout_url, request.next_deadline_at) == (None, booked.order.terms.ends_at + DAY)
    assert await mailed(booked, NotificationKind.PAYMENT_RENEWED) == BOTH
    await assert_ledger_is_stripes(saga)
    await completed(booked)


async def test_a_payment_whose_event_is_lost_is_found_when_it_is_due(saga: Saga) -> None:
    booked = await with_short_hold(saga)
    asked = await until_asked(booked)
    assert await pay(asked.checkout_url or "")
    await pass_time(saga, timedelta(hours=43))
    await renewed(booked)
    await completed(booked)


async def test_without_a_payment_the_booking_is_cancelled_before_its_session_and_its_hold_is_released(
    saga: Saga,
) -> None:
    booked = await with_short_hold(saga)
    asked = await until_asked(booked)
    await pass_time(saga, 25 * HOUR)
    again = await until_asked(booked, page=2)
    # Stripe closes a page within a day. The instructor has been told once.
    assert again.checkout_session_id != asked.checkout_session_id
    assert again.pay_by == asked.pay_by
    assert await mailed(booked, NotificationKind.PAYMENT_RENEWAL) == [*BOTH, Recipient.STUDENT]
    with pytest.raises(CheckoutClosed):
        await pay(asked.checkout_url or "")
    await pass_time(saga, 18 * HOUR)
    view = await booked.result()
    assert (view.booking_status, view.payment_status) == (BookingStatus.CANCELLED, PaymentStatus.REFUNDED)
    assert view.end_reason is EndReason.PAYMENT_NOT_RENEWED
    # Stripe counts in whole seconds.
    assert timedelta(hours=41, minutes=59) < await booked.lasted() < timedelta(hours=45)
    with pytest.raises(CheckoutClosed):
        await pay(again.checkout_url or "")
    assert await total(booked) == Figures()
    await assert_ledger_is_stripes(saga)


async def test_a_page_that_stripe_closes_late_is_looked_at_by_the_minute(saga: Saga) -> None:
    booked = await with_short_hold(saga)
    await until_asked(booked)
    before = saga.faults.calls.count("look_up")
    await saga.env.sleep(timedelta(hours=23, minutes=10))  # on the workflow's clock alone
    assert 5 < saga.faults.calls.count("look_up") - before < 15
    await control(saga, "/clock", advance_seconds=int(DAY.total_seconds()))
    assert (await booked.result()).end_reason is EndReason.PAYMENT_NOT_RENEWED


async def test_a_declined_card_leaves_the_page_open_for_another_one(saga: Saga) -> None:
    booked = await with_short_hold(saga)
    assert not await pay_again(booked, POOR_CARD)
    await saga.env.sleep(10)
    assert await pay_again(booked)
    await renewed(booked)
    await completed(booked)


@pytest.mark.parametrize("is_paid", [False, True], ids=["unpaid", "paid"])
@pytest.mark.parametrize("by", ["student", "instructor", "operator", "Temporal"])
async def test_a_booking_that_ends_while_it_is_to_be_paid_again_returns_everything(
    saga: Saga, by: str, is_paid: bool
) -> None:
    """Also what is paid on the page in the moment in which it ends: no event has arrived."""
    booked = await with_short_hold(saga)
    asked = await until_asked(booked)
    if is_paid:
        assert await pay(asked.checkout_url or "")
    match by:
        case "student" | "instructor":
            actor = booked.student if by == "student" else booked.instructor
            await booked.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=actor))
        case "operator":
            await booked.handle.execute_update(BookingWorkflow.release, Release(actor=OPERATOR))
        case _:
            await booked.handle.cancel()
    await saga.until_over(booked.handle)
    request, payment = await booked.request(), await booked.payment()
    assert request is not None
    assert payment is not None
    assert (request.status, payment.status) == (BookingStatus.CANCELLED, PaymentStatus.REFUNDED)
    with pytest.raises(CheckoutClosed):
        await pay(asked.checkout_url or "")
    assert await total(booked) == (FEE_ONLY if is_paid else Figures())
    await assert_ledger_is_stripes(saga)


async def test_a_late_cancellation_settles_what_was_paid_again_in_the_same_moment(saga: Saga) -> None:
    booked = await with_short_hold(saga, lasts=18 * HOUR, starts_in=20 * HOUR)
    asked = await until_asked(booked)
    assert await pay(asked.checkout_url or "")
    view = await booked.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=booked.student))
    assert (view.booking_status, view.payment_status) == (BookingStatus.CANCELLED, PaymentStatus.PARTIALLY_REFUNDED)
    assert await total(booked) == Figures(5_000, 4_000, 1_000, 320)
    await assert_ledger_is_stripes(saga)


async def test_a_session_that_is_moved_back_to_where_the_hold_lasts_needs_no_payment(saga: Saga) -> None:
    booked = await with_short_hold(saga)
    asked = await until_asked(booked)
    await move(booked, await proposal(saga, booked, -2 * DAY))
    await saga.env.sleep(5)
    row, request = await renewal_of(booked), await booked.request()
    assert row is not None
    assert row.closed_at is not None
    payment = await booked.payment()
    assert request is not None
    assert payment is not None
    assert payment.hold_ends_at is not None
    assert request.next_deadline_at == payment.hold_ends_at - 6 * HOUR
    with pytest.raises(CheckoutClosed):
        await pay(asked.checkout_url or "")
    await pass_time(saga, DAY + 2 * HOUR)
    view = await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert view.payment_status is PaymentStatus.CAPTURED
    assert await total(booked) == ALL
    await assert_ledger_is_stripes(saga)


async def test_a_session_that_is_moved_while_it_is_to_be_paid_again_has_a_new_deadline(saga: Saga) -> None:
    booked = await with_short_hold(saga, lasts=5 * DAY, starts_in=6 * DAY)
    asked = await until_asked(booked)
    await move(booked, await proposal(saga, booked, -12 * HOUR))
    await saga.env.sleep(5)
    row = await renewal_of(booked)
    assert row is not None
    assert (row.checkout_session_id, row.closed_at) == (asked.checkout_session_id, None)
    assert row.pay_by == booked.order.terms.starts_at - 36 * HOUR < asked.pay_by
    assert await pay_again(booked)
    await renewed(booked)


async def test_a_session_that_is_moved_beyond_its_hold_is_paid_again(saga: Saga) -> None:
    booked = await saga.accepted()
    assert await renewal_of(booked) is None
    to = await proposal(saga, booked, 30 * DAY)
    await move(booked, to)
    assert await pay_again(booked)
    await renewed(booked)
    request = await booked.request()
    assert request is not None
    assert request.next_deadline_at == to.ends_at + DAY
    await pass_time(saga, 33 * DAY + 2 * HOUR)
    view = await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert view.payment_status is PaymentStatus.CAPTURED
    assert await total(booked) == ALL
    await assert_ledger_is_stripes(saga)


async def test_an_approval_that_comes_before_the_payment_is_due_is_followed_by_it(saga: Saga) -> None:
    """Before the approval nobody is asked: the instructor may still reject."""
    await control(saga, "/holds", card_seconds=int((2 * DAY).total_seconds()))
    booked = await saga.paid()
    await saga.env.sleep(60)
    assert await renewal_of(booked) is None
    await booked.approve()
    assert await pay_again(booked)
    await renewed(booked)


@pytest.mark.parametrize("call", ["gateway.open_checkout", "secure_payment", "record_renewal"])
async def test_a_page_whose_answer_is_lost_is_opened_once(saga: Saga, call: str) -> None:
    await control(saga, "/holds", card_seconds=int((2 * DAY).total_seconds()))
    booked = await saga.paid()
    saga.faults.fail("after", call, Unknown("the answer was lost"))
    await booked.approve()
    asked = await until_asked(booked)
    assert saga.faults.all_taken
    sessions = await saga.stripe.v1.checkout.sessions.list_async({"customer": booked.checkout.customer_id})
    assert [each.id for each in sessions.data if each.status == "open"] == [asked.checkout_session_id]
    assert await pay_again(booked)
    await renewed(booked)


@pytest.mark.parametrize("call", ["gateway.cancel", "release_payment", "record_renewed_payment"])
async def test_a_lost_answer_while_the_hold_is_replaced_replaces_it_once(saga: Saga, call: str) -> None:
    booked = await with_short_hold(saga)
    await until_asked(booked)
    saga.faults.fail("after", call, Unknown("the answer was lost"))
    assert await pay_again(booked)
    await renewed(booked)
    assert saga.faults.all_taken
    assert saga.faults.calls.count("cancel") == 1
    await completed(booked)


async def test_a_page_that_cannot_be_opened_waits_for_an_operator(saga: Saga) -> None:
    await control(saga, "/holds", card_seconds=int((2 * DAY).total_seconds()))
    booked = await saga.paid()
    saga.faults.fail("before", "gateway.open_checkout", Declined("test_reason"))
    await booked.approve()
    await saga.until_needs_attention(booked)
    with pytest.raises(WorkflowUpdateFailedError):
        await booked.handle.execute_update(BookingWorkflow.cancel, Cancel(actor=booked.student))
    await booked.handle.execute_update(BookingWorkflow.retry, Retry(actor=OPERATOR))
    assert await pay_again(booked)
    await renewed(booked)
    await completed(booked)


async def test_an_extended_authorization_is_used_when_it_is_granted(saga: Saga) -> None:
    await control(saga, "/holds", extended=True)
    booked = await saga.accepted(starts_in=20 * DAY)
    await saga.env.sleep(60)
    assert await renewal_of(booked) is None
    payment = await booked.payment()
    assert payment is not None
    assert payment.hold_ends_at is not None
    assert payment.hold_ends_at > booked.order.terms.ends_at + 9 * DAY
    await pass_time(saga, 20 * DAY + 2 * HOUR)
    view = await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert (view.booking_status, view.payment_status) == (BookingStatus.COMPLETED, PaymentStatus.CAPTURED)
    assert await total(booked) == ALL
