"""Ids at Stripe that die: a deleted customer, a closed account, a capability that is lost before the settlement."""

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from sqlmodel import col, update
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WorkflowUpdateFailedError

from models.domain.actors import Actor, Capability, Role
from models.domain.errors import Unknown
from models.domain.messages import Complete, Release, ReserveSlot, Retry
from models.domain.states import BookingStatus, PaymentStatus
from models.tables.people import Instructor, Student
from sandbox.demo.figures import Figures
from tests.workflows.saga import Booked, Saga, both_plans
from workflows.booking.workflow import BookingWorkflow

pytestmark = both_plans

OPERATOR = Actor(role=Role.OPERATOR, id=UUID(int=3))

Prepare = Callable[[Saga, ReserveSlot], Awaitable[None]]


async def student_of(saga: Saga, order: ReserveSlot) -> Student:
    async with AsyncSession(saga.engine) as session:
        return await session.get_one(Student, order.terms.student_id)


async def create_customer(saga: Saga, order: ReserveSlot) -> str:
    student = await student_of(saga, order)
    customer = await saga.stripe.v1.customers.create_async(
        {"email": student.email, "metadata": {"student_id": str(student.id)}}
    )
    return customer.id


async def recorded(saga: Saga, order: ReserveSlot) -> None:
    """The student's customer was deleted after an earlier booking."""
    customer_id = await create_customer(saga, order)
    is_theirs = col(Student.id) == order.terms.student_id
    async with AsyncSession(saga.engine) as session:
        await session.exec(update(Student).where(is_theirs).values(stripe_customer_id=customer_id))
        await session.commit()
    await saga.stripe.v1.customers.delete_async(customer_id)


async def found_by_address(saga: Saga, order: ReserveSlot) -> None:
    """A retry finds the customer, which is deleted before the Checkout is opened."""
    customer_id = await create_customer(saga, order)

    async def delete() -> None:
        await saga.stripe.v1.customers.delete_async(customer_id)

    saga.faults.fail("before", "secure_payment", Unknown("no answer"))
    saga.faults.plan("after", "gateway.find_customer", delete)


async def just_created(saga: Saga, order: ReserveSlot) -> None:
    """The customer that this booking has created is deleted, and its key returns the same id again."""
    student = await student_of(saga, order)

    async def delete() -> None:
        [customer] = (await saga.stripe.v1.customers.list_async({"email": student.email})).data
        await saga.stripe.v1.customers.delete_async(customer.id)

    saga.faults.plan("after", "gateway.create_customer", delete)


@pytest.mark.parametrize("prepare", [recorded, found_by_address, just_created])
async def test_deleted_customer_is_replaced(saga: Saga, prepare: Prepare) -> None:
    order = await saga.order()
    await prepare(saga, order)
    booked = await saga.start(order)
    await booked.pay()
    await saga.until_stored(booked, PaymentStatus.PENDING)
    assert saga.faults.all_taken

    # The next booking has the same customer.
    stored = (await student_of(saga, order)).stripe_customer_id
    assert stored == booked.checkout.customer_id
    again = await saga.order()
    again = again.model_copy(update={"terms": again.terms.model_copy(update={"student_id": order.terms.student_id})})
    assert (await saga.start(again)).checkout.customer_id == stored


async def test_customer_is_replaced_once_when_the_answer_is_lost(saga: Saga) -> None:
    order = await saga.order()
    await recorded(saga, order)
    saga.faults.fail("after", "gateway.open_checkout", Unknown("no answer"))
    saga.faults.fail("after", "secure_payment", Unknown("no answer"))
    booked = await saga.start(order)
    student = await student_of(saga, order)
    [customer] = (await saga.stripe.v1.customers.list_async({"email": student.email})).data
    assert customer.id == student.stripe_customer_id == booked.checkout.customer_id
    sessions = await saga.stripe.v1.checkout.sessions.list_async({"customer": customer.id})
    assert [session.id for session in sessions.data] == [booked.checkout.checkout_session_id]


async def request_transfers(booked: Booked, requested: bool) -> None:
    await booked.saga.stripe.v1.accounts.update_async(
        booked.order.terms.stripe_account_id, {"capabilities": {"transfers": {"requested": requested}}}
    )


async def attention_reason(booked: Booked) -> str | None:
    request = await booked.request()
    assert request is not None
    return request.attention_reason


async def test_settlement_waits_until_the_account_can_receive_transfers(saga: Saga) -> None:
    booked = await saga.accepted()
    await request_transfers(booked, False)
    await booked.until_ended()
    view = await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert view.needs_attention
    assert "transfers_inactive" in (await attention_reason(booked) or "")
    assert saga.call("capture") not in saga.faults.calls

    await request_transfers(booked, True)
    view = await booked.handle.execute_update(BookingWorkflow.retry, Retry(actor=OPERATOR))
    assert (view.booking_status, view.needs_attention) == (BookingStatus.COMPLETED, False)
    assert await booked.figures() == Figures(10_000, 8_000, 2_000, 320)


async def test_payment_for_a_closed_account_is_released_by_an_operator(saga: Saga) -> None:
    booked = await saga.accepted()
    await saga.stripe.v1.accounts.delete_async(booked.order.terms.stripe_account_id)
    await booked.until_ended()
    view = await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert view.needs_attention
    assert "account_gone" in (await attention_reason(booked) or "")
    await booked.handle.execute_update(BookingWorkflow.release, Release(actor=OPERATOR))
    assert await booked.figures() == saga.under_plan(Figures())


async def test_settled_payment_stays_settled_when_the_account_is_stopped(saga: Saga) -> None:
    booked = await saga.accepted()
    await booked.until_ended()

    async def stop() -> None:
        await request_transfers(booked, False)
        raise Unknown("no answer")

    saga.faults.plan("after", saga.call("gateway.capture"), stop)
    view = await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    assert (view.booking_status, view.needs_attention) == (BookingStatus.COMPLETED, False)


async def test_refused_checkout_shows_that_the_account_is_closed(saga: Saga) -> None:
    """Stripe sends no event for an account that the platform has deleted."""
    order = await saga.order()
    await saga.stripe.v1.accounts.delete_async(order.terms.stripe_account_id)
    with pytest.raises(WorkflowUpdateFailedError):
        await saga.start(order)
    async with AsyncSession(saga.engine) as session:
        instructor = await session.get_one(Instructor, order.terms.instructor_id)
    assert (instructor.transfers, instructor.disabled_reason) == (Capability.INACTIVE, "account_gone")
