"""Steps of the tests that have a refund after the end of a booking."""

from datetime import UTC, datetime
from typing import cast
from uuid import UUID, uuid4

import httpx
import stripe
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy

from models.domain.actors import Actor, Role
from models.domain.ids import external_refund_id, refund_workflow_id
from models.domain.messages import Approve, Complete
from models.domain.notifications import NotificationKind, Recipient
from models.domain.policy import LossBearer, PaymentPlan
from models.domain.refunds import ORDERED, RefundEvent, RefundOrder, RefundView
from models.domain.states import PaymentStatus, RefundStatus
from models.tables.outbox import OutboxMessage
from models.tables.refunds import Refund
from sandbox.stack.ports import NO_TLS
from tests.workflows.saga import QUEUE, Booked, Saga
from workflows.booking.workflow import BookingWorkflow
from workflows.refunds import RefundWorkflow

OPERATOR_ID = uuid4()
OPERATOR = Actor(role=Role.OPERATOR, id=OPERATOR_ID)

REFUND_PENDING_CARD, REFUND_FAILING_CARD = "4000000000007726", "4000000000005126"

Flags = dict[str, bool]
NO_SHARES: Flags = {}
NO_FEE: Flags = {"reverse_transfer": True}
BOTH: Flags = {"reverse_transfer": True, "refund_application_fee": True}

Handle = WorkflowHandle[RefundWorkflow, RefundStatus | None]


async def completed_with(saga: Saga, card: str) -> Booked:
    """100.00 USD captured from this card."""
    booked = await saga.booked()
    await booked.pay(card)
    await saga.until_stored(booked, PaymentStatus.PENDING)
    await booked.handle.execute_update(BookingWorkflow.approve, Approve(actor=booked.instructor))
    await booked.until_ended()
    await booked.handle.execute_update(BookingWorkflow.complete, Complete(actor=booked.instructor))
    return booked


async def order_refund(
    saga: Saga, booked: Booked, amount_minor: int, borne_by: LossBearer = LossBearer.BOTH, id: UUID | None = None
) -> UUID:
    """Store an operator's order, as the API does."""
    now = datetime.now(UTC)
    row = Refund(
        id=id or uuid4(),
        booking_id=booked.order.terms.booking_id,
        status=RefundStatus.REQUESTED,
        amount_minor=amount_minor,
        currency=booked.order.terms.price.currency,
        borne_by=borne_by,
        reason="The lesson was cut short.",
        ordered_by=OPERATOR_ID,
        created_at=now,
        updated_at=now,
    )
    async with AsyncSession(saga.engine, expire_on_commit=False) as session:
        session.add(row)
        await session.commit()
    return row.id


def starting(refund_id: UUID) -> WithStartWorkflowOperation[RefundWorkflow, RefundStatus | None]:
    return WithStartWorkflowOperation(
        RefundWorkflow.run,
        RefundOrder(refund_id=refund_id),
        id=refund_workflow_id(refund_id),
        task_queue=QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )


async def execute_refund(saga: Saga, refund_id: UUID) -> RefundView:
    view = await saga.env.client.execute_update_with_start_workflow(
        RefundWorkflow.ordered, id=ORDERED, start_workflow_operation=starting(refund_id)
    )
    # The SDK's types take an update without argument for one that returns a coroutine.
    return cast(RefundView, view)


async def refund_booking(
    saga: Saga, booked: Booked, amount_minor: int, borne_by: LossBearer = LossBearer.BOTH
) -> RefundView:
    return await execute_refund(saga, await order_refund(saga, booked, amount_minor, borne_by))


async def notify_refund(saga: Saga, refund_id: UUID) -> Handle:
    """Start or signal the workflow, as the webhook does."""
    return await saga.env.client.start_workflow(
        RefundWorkflow.run,
        RefundOrder(refund_id=refund_id),
        id=refund_workflow_id(refund_id),
        task_queue=QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        start_signal="refund_event",
        start_signal_args=[RefundEvent(event_id=f"evt_{uuid4().hex}", type="refund.test")],
    )


async def act_at_the_bank(saga: Saga, stripe_refund_id: str, act: str) -> None:
    async with httpx.AsyncClient(base_url=saga.stripe_url, trust_env=False, verify=NO_TLS) as bank:
        (await bank.post(f"/_sandbox/refunds/{stripe_refund_id}/{act}", json={})).raise_for_status()


async def stored_refund(saga: Saga, refund_id: UUID) -> Refund:
    async with AsyncSession(saga.engine) as session:
        return await session.get_one(Refund, refund_id)


async def until_refund_is(saga: Saga, refund_id: UUID, status: RefundStatus) -> Refund:
    for _ in range(60):
        row = await stored_refund(saga, refund_id)
        if row.status is status:
            return row
        await saga.env.sleep(1)
    raise AssertionError(f"{status} never came")


async def payment_totals(booked: Booked) -> tuple[PaymentStatus, int, int, int]:
    """The payment's status, and the captured, returned and fee amounts in minor units."""
    payment = await booked.payment()
    assert payment is not None
    return payment.status, payment.captured_minor, payment.returned_minor, payment.platform_fee_minor


async def notifications(saga: Saga, booked: Booked) -> set[tuple[NotificationKind, Recipient | None]]:
    query = (
        select(OutboxMessage)
        .where(col(OutboxMessage.booking_id) == booked.order.terms.booking_id)
        .where(col(OutboxMessage.kind).in_([NotificationKind.REFUNDED, NotificationKind.REFUND_FAILED]))
    )
    async with AsyncSession(saga.engine) as session:
        return {(message.kind, message.recipient_role) for message in await session.exec(query)}


async def refunds_at_stripe(saga: Saga, booked: Booked) -> list[stripe.Refund]:
    intent = await booked.payment_intent()
    assert intent is not None
    return (await saga.stripe.v1.refunds.list_async({"payment_intent": intent.id})).data


async def let_refunds_wait(saga: Saga) -> None:
    """From now on, Stripe does not send refunds that the platform's balance does not cover."""
    async with httpx.AsyncClient(base_url=saga.stripe_url, trust_env=False, verify=NO_TLS) as sandbox:
        (await sandbox.post("/_sandbox/refunds", json={"wait_for_balance": True})).raise_for_status()


def usual_flags(saga: Saga) -> Flags:
    """With which a dashboard's refund takes the shares back. A charge's transfers are reversed on their own."""
    return BOTH if saga.plan is PaymentPlan.HOLD else NO_SHARES


async def refund_in_dashboard(saga: Saga, booked: Booked, amount_minor: int, flags: Flags) -> stripe.Refund:
    """Make a refund as Stripe's dashboard does."""
    intent = await booked.payment_intent()
    assert intent is not None
    params = {"payment_intent": intent.id, "amount": amount_minor, **flags}
    return await saga.stripe.v1.refunds.create_async(params)  # type: ignore[arg-type]


async def notify_external(saga: Saga, refund: stripe.Refund) -> WorkflowHandle[RefundWorkflow, RefundStatus | None]:
    """Start or signal the workflow, as the webhook does."""
    id = external_refund_id(refund.id)
    return await saga.env.client.start_workflow(
        RefundWorkflow.run,
        RefundOrder(refund_id=id, stripe_refund_id=refund.id),
        id=refund_workflow_id(id),
        task_queue=QUEUE,
        start_signal="refund_event",
        start_signal_args=[RefundEvent(event_id=f"evt_{uuid4().hex}", type="refund.created")],
    )
