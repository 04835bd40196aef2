"""Helpers of the saga's tests: they act as students, instructors and Stripe, and read the results."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
import stripe
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1.workflow_pb2 import WORKFLOW_EXECUTION_STATUS_RUNNING
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.testservice.v1 import LockTimeSkippingRequest, UnlockTimeSkippingRequest
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.testing import WorkflowEnvironment

from models.domain.actors import Actor, Role
from models.domain.ids import workflow_id
from models.domain.messages import (
    OPEN_CHECKOUT,
    Approve,
    BookingView,
    Complete,
    PaymentEvent,
    ReserveSlot,
)
from models.domain.money import Money
from models.domain.payments import Checkout
from models.domain.policy import BookingPolicy, PaymentPlan, checkout_deadline
from models.domain.states import BookingStatus, PaymentStatus
from models.domain.terms import BookingTerms
from models.tables.audit import AuditEvent
from models.tables.bookings import BookingRequest
from models.tables.payments import Payment
from sandbox import seed
from sandbox.browser.checkout_page import GOOD_CARD, pay
from sandbox.demo.figures import Figures, figures_at_stripe
from sandbox.stack.connected_accounts import create_connected_account
from tests.workflows.faults import Faults
from workflows import search_attributes
from workflows.booking.workflow import BookingWorkflow

QUEUE = "test"
both_plans = pytest.mark.parametrize(
    "plan", [PaymentPlan.HOLD, pytest.param(PaymentPlan.CHARGE_THEN_TRANSFER, marks=pytest.mark.on_demand)]
)
"""For tests that hold whatever the booking's payment plan is. The suite plays the endings under both."""
_ATTEMPTS = 90
_SAME_CALLS = {"capture": "transfer", "cancel": "refund_charge", "refund": "refund_charge"}
"""What moves a charge's money, by the call that does so for a hold."""
HUNDRED = Money(amount_minor=10_000, currency="usd")
_FEE_OF_HUNDRED = 320

Handle = WorkflowHandle[BookingWorkflow, BookingView]


class Workers:
    """The worker under test. `stop` and `start` replace it with a new one, if it is `replaceable`."""

    def __init__(self, build: Callable[[], AbstractAsyncContextManager[None]], *, replaceable: bool = True) -> None:
        self._build = build
        self._replaceable = replaceable
        self._running: AbstractAsyncContextManager[None] | None = None

    async def start(self) -> None:
        self._running = self._build()
        await self._running.__aenter__()

    async def stop(self) -> None:
        if self._running:
            await self._running.__aexit__(None, None, None)
            self._running = None

    @asynccontextmanager
    async def stopped(self) -> AsyncIterator[None]:
        assert self._replaceable, "mark the test `uncached`"
        await self.stop()
        yield
        await self.start()


@dataclass(frozen=True)
class Booked:
    """A booking under test."""

    saga: "Saga"
    order: ReserveSlot
    handle: Handle
    checkout: Checkout
    checkout_url: str
    """Where its student pays."""

    @property
    def student(self) -> Actor:
        return Actor(role=Role.STUDENT, id=self.order.terms.student_id)

    @property
    def instructor(self) -> Actor:
        return Actor(role=Role.INSTRUCTOR, id=self.order.terms.instructor_id)

    async def pay(self, card: str = GOOD_CARD) -> None:
        await pay(self.checkout_url, card)
        await self.notify()

    async def notify(self, event_id: str | None = None) -> None:
        """Signal an event of Stripe's, as the webhook does."""
        event = PaymentEvent(event_id=event_id or f"evt_{uuid4().hex}", type="payment_intent.test")
        await self.handle.signal(BookingWorkflow.payment_event, event)

    async def approve(self) -> BookingView:
        return await self.handle.execute_update(BookingWorkflow.approve, Approve(actor=self.instructor))

    async def until_begun(self) -> None:
        """Skip time until a minute into the session."""
        await self._until(timedelta(minutes=1))

    async def until_waited(self) -> None:
        """Skip time until one side can report that the other did not come."""
        await self._until(self.order.terms.policy.no_show_min_wait + timedelta(minutes=1))

    async def until_ended(self) -> None:
        """Skip time until a minute after the session."""
        await self._until(self.order.terms.ends_at - self.order.terms.starts_at + timedelta(minutes=1))

    async def _until(self, after_start: timedelta) -> None:
        now = await self.saga.env.get_current_time()
        await self.saga.env.sleep(self.order.terms.starts_at - now + after_start)

    async def result(self) -> BookingView:
        """Skip time until the workflow has ended. Raises `WorkflowFailureError`, also when it was cancelled."""
        if not self.saga.env.supports_time_skipping:
            return await self.handle.result()
        # The environment does this only for handles that `start_workflow` returned.
        clock = self.saga.env.client.test_service
        await clock.unlock_time_skipping(UnlockTimeSkippingRequest())
        try:
            return await self.handle.result()
        finally:
            await clock.lock_time_skipping(LockTimeSkippingRequest())

    async def lasted(self) -> timedelta:
        """From the booking to its end, on the server's clock."""
        info = await self.saga.execution(self.handle)
        return info.close_time.ToDatetime() - info.start_time.ToDatetime()

    async def request(self) -> BookingRequest | None:
        return await self.saga.request(self.order.terms.booking_id)

    async def payment(self) -> Payment | None:
        async with AsyncSession(self.saga.engine) as session:
            return await session.get(Payment, self.order.terms.booking_id)

    async def figures(self) -> Figures:
        """Who paid and received what, by Stripe's objects."""
        payment = await self.payment_intent()
        return await figures_at_stripe(self.saga.stripe, payment) if payment else Figures()

    async def payment_intent(self) -> stripe.PaymentIntent | None:
        charge = "payment_intent.latest_charge"
        session = await self.saga.stripe.v1.checkout.sessions.retrieve_async(
            self.checkout.checkout_session_id,
            {"expand": [f"{charge}.transfer", f"{charge}.application_fee", f"{charge}.balance_transaction"]},
        )
        payment = session.payment_intent
        return payment if isinstance(payment, stripe.PaymentIntent) else None


@dataclass(frozen=True)
class Saga:
    env: WorkflowEnvironment
    engine: AsyncEngine
    stripe: stripe.StripeClient
    faults: Faults
    workers: "Workers"
    stripe_url: str
    """For what only a card holder or a bank can do."""
    queue: str = QUEUE
    plan: PaymentPlan = PaymentPlan.HOLD

    def call(self, name: str) -> str:
        """The gateway's call that does under the plan what `name` does to a hold. It may be a fault's name."""
        if self.plan is PaymentPlan.HOLD:
            return name
        prefix, dot, call = name.rpartition(".")
        return prefix + dot + _SAME_CALLS.get(call, call)

    def under_plan(self, figures: Figures) -> Figures:
        """The figures of a paid booking of `HUNDRED`: Stripe's fee of a charge stays, whatever goes back later."""
        return figures if self.plan is PaymentPlan.HOLD else replace(figures, stripe_fee_minor=_FEE_OF_HUNDRED)

    async def order(
        self,
        starts_in: timedelta = timedelta(days=3),
        price: Money = HUNDRED,
        policy: BookingPolicy | None = None,
        lasts: timedelta = timedelta(hours=1),
    ) -> ReserveSlot:
        """A new student's order of an hour with a new instructor."""
        policy = policy or BookingPolicy()
        now = await self.env.get_current_time()
        instructor_id = uuid4()
        account_id = await create_connected_account(self.stripe, instructor_id, "I", "T", f"{uuid4()}@example.com")
        await seed.add_instructor(self.engine, account_id, instructor_id=instructor_id)
        offering_id = await seed.add_offering(self.engine, instructor_id, price, policy.cancellation)
        starts_at = now + starts_in
        slot_id = await seed.add_slot(self.engine, offering_id, starts_at, starts_at + lasts)
        terms = BookingTerms(
            booking_id=uuid4(),
            student_id=await seed.add_student(self.engine),
            instructor_id=instructor_id,
            offering_id=offering_id,
            slot_id=slot_id,
            starts_at=starts_at,
            ends_at=starts_at + lasts,
            price=price,
            policy=policy,
            plan=self.plan,
            stripe_account_id=account_id,
        )
        deadline = checkout_deadline(policy.deadlines, now, starts_at)
        return ReserveSlot(terms=terms, booked_at=now, checkout_deadline_at=deadline)

    async def start(self, order: ReserveSlot) -> Booked:
        """Book as the API does. Raises `WorkflowUpdateFailedError` when no Checkout was opened."""
        start = self._start_operation(order)
        checkout = await self.env.client.execute_update_with_start_workflow(
            BookingWorkflow.open_checkout, id=OPEN_CHECKOUT, start_workflow_operation=start
        )
        # The SDK's types take an update without argument for one that returns a coroutine.
        row = await self.request(order.terms.booking_id)
        assert row is not None
        return Booked(
            self, order, self.handle(order.terms.booking_id), cast(Checkout, checkout), row.checkout_url or ""
        )

    def _start_operation(self, order: ReserveSlot) -> WithStartWorkflowOperation[BookingWorkflow, BookingView]:
        return WithStartWorkflowOperation(
            BookingWorkflow.run,
            order,
            id=workflow_id(order.terms.booking_id),
            task_queue=self.queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            search_attributes=search_attributes.at_start(order, "Counterpoint"),
        )

    def handle(self, booking_id: UUID) -> Handle:
        return self.env.client.get_workflow_handle_for(BookingWorkflow.run, workflow_id(booking_id))

    async def until_status(self, booked: Booked, status: BookingStatus) -> None:
        await self._eventually(lambda: _status(booked), status)

    async def until_needs_attention(self, booked: Booked) -> None:
        await self._eventually(lambda: _needs_attention(booked), True)

    async def until_over(self, handle: WorkflowHandle[Any, Any]) -> None:
        """Skip time, second by second, until the workflow has ended in any way."""
        while (await self.execution(handle)).status == WORKFLOW_EXECUTION_STATUS_RUNNING:
            await self.env.sleep(1)

    async def execution(self, handle: WorkflowHandle[Any, Any]) -> WorkflowExecutionInfo:
        # Not `handle.describe()`: that one cannot read an unset datetime attribute as this server returns it.
        client = self.env.client
        response = await client.workflow_service.describe_workflow_execution(
            DescribeWorkflowExecutionRequest(
                namespace=client.namespace, execution=WorkflowExecution(workflow_id=handle.id)
            )
        )
        return response.workflow_execution_info

    async def request(self, booking_id: UUID) -> BookingRequest | None:
        async with AsyncSession(self.engine) as session:
            return await session.get(BookingRequest, booking_id)

    async def booked(self, **wish: Any) -> Booked:
        return await self.start(await self.order(**wish))

    async def paid(self, **wish: Any) -> Booked:
        """A booking that waits for its instructor."""
        booked = await self.booked(**wish)
        await booked.pay()
        await self.until_stored(booked, PaymentStatus.PENDING)
        return booked

    async def accepted(self, **wish: Any) -> Booked:
        """A booking that waits for its session."""
        booked = await self.paid(**wish)
        await booked.approve()
        return booked

    async def completed(self, **wish: Any) -> Booked:
        """A booking whose session took place, and whose payment is captured."""
        booked = await self.accepted(**wish)
        await booked.until_ended()
        await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
        return booked

    async def until_audited(self, booked: Booked, action: str) -> None:
        await self._eventually(lambda: _is_audited(booked, action), True)

    async def until_stored(self, booked: Booked, payment_status: PaymentStatus) -> None:
        await self._eventually(lambda: _payment_status(booked), payment_status)

    async def _eventually(self, look: Callable[[], Awaitable[object]], wanted: object) -> None:
        for _ in range(_ATTEMPTS):
            if (seen := await look()) == wanted:
                return
            await self.env.sleep(1)
            # The server skips its second within milliseconds, in which a busy machine gets nothing done.
            await asyncio.sleep(0.02)
        raise AssertionError(f"still {seen} after {_ATTEMPTS} seconds, instead of {wanted}")


async def _status(booked: Booked) -> BookingStatus | None:
    request = await booked.request()
    return request.status if request else None


async def _needs_attention(booked: Booked) -> bool | None:
    request = await booked.request()
    return request.needs_attention if request else None


async def _is_audited(booked: Booked, action: str) -> bool:
    event = (col(AuditEvent.booking_id) == booked.order.terms.booking_id, col(AuditEvent.action) == action)
    async with AsyncSession(booked.saga.engine) as session:
        return (await session.exec(select(AuditEvent.id).where(*event))).first() is not None


async def _payment_status(booked: Booked) -> PaymentStatus | None:
    payment = await booked.payment()
    return payment.status if payment else None


async def register_search_attributes(client: Client) -> None:
    attributes = {key.name: int(key.indexed_value_type) for key in search_attributes.ALL}
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(namespace=client.namespace, search_attributes=attributes)  # type: ignore[arg-type]
    )
