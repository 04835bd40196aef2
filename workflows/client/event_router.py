"""Routes Stripe's events to workflows. The webhook route and the reconciliation both use it."""

import logging
from datetime import timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from activities import external_refunds
from activities.database import stripe_events
from activities.database.transactions import DatabaseError
from models.domain.disputes import DisputeEvent, DisputeOrder
from models.domain.ids import (
    dispute_workflow_id,
    fraud_refund_id,
    onboarding_workflow_id,
    payout_workflow_id,
    refund_workflow_id,
    workflow_id,
)
from models.domain.messages import PaymentEvent
from models.domain.onboarding import AccountEvent, Onboarding
from models.domain.payouts import PayoutEvent, PayoutOrder
from models.domain.policy import PaymentPlan
from models.domain.refunds import RefundEvent, RefundOrder
from models.domain.states import PaymentStatus
from models.domain.stripe_events import (
    ACCOUNT_EVENTS,
    BOOKING_EVENTS,
    DEAUTHORIZED,
    DISPUTE_EVENTS,
    FRAUD_WARNING_EVENTS,
    PAYOUT_EVENTS,
    REFUND_EVENTS,
    THIN_EVENTS,
    RoutingResult,
    StripeEvent,
)
from workflows.booking.workflow import BookingWorkflow
from workflows.disputes import DisputeWorkflow
from workflows.onboarding import OnboardingWorkflow
from workflows.payouts import PayoutWorkflow
from workflows.refunds import RefundWorkflow
from workflows.search_attributes import INSTRUCTOR_ID

log = logging.getLogger("holdfast.event_router")

ROUTING_TIMEOUT = timedelta(seconds=5)
"""The time limit of one call to Temporal."""


class StripeEventRouter:
    """An event that is `ROUTED` is durable in Temporal. It starts a workflow that may have ended again."""

    def __init__(self, client: Client, task_queue: str, engine: AsyncEngine) -> None:
        self._client = client
        self._task_queue = task_queue
        self._engine = engine
        # Each read is one statement, which needs no BEGIN and ROLLBACK around it.
        self._reader = engine.execution_options(isolation_level="AUTOCOMMIT")

    async def route(self, event: StripeEvent) -> RoutingResult:
        """Raises Temporal's errors and the database's; the event may be sent again."""
        result = await self._route(event)
        try:
            await stripe_events.record(self._engine, event, result)
        except DatabaseError as error:
            # It is durable in Temporal. The next reconciliation redelivers it, which changes nothing.
            log.warning("event %s was routed but not recorded: %s", event.id, error)
        return result

    async def _route(self, event: StripeEvent) -> RoutingResult:
        if event.account is not None:
            return await self._route_account_event(event, event.account)
        if event.type in DISPUTE_EVENTS and event.object_id:
            await self._signal_dispute(event, event.object_id)
            await self._signal_holder(event)
            return RoutingResult.ROUTED
        if event.type in REFUND_EVENTS:
            return await self._route_refund_event(event)
        if event.type in FRAUD_WARNING_EVENTS and event.object_id:
            return await self._route_fraud_warning(event, event.object_id)
        if event.type in BOOKING_EVENTS and event.booking_id:
            return await self._signal_booking(event, event.booking_id)
        return RoutingResult.NOT_OURS

    async def _route_account_event(self, event: StripeEvent, account_id: str) -> RoutingResult:
        if not event.is_handled:
            return RoutingResult.NOT_OURS
        instructor_id = await self._instructor_with(account_id)
        if instructor_id is None:
            # Another program's account, or one so new that it is not recorded yet: then it is looked up after that.
            return RoutingResult.NOT_OURS
        if event.type in ACCOUNT_EVENTS | THIN_EVENTS or event.type == DEAUTHORIZED:
            await self._signal_onboarding(event, instructor_id)
        elif event.type in PAYOUT_EVENTS and event.object_id:
            await self._signal_payout(event, PayoutOrder(payout_id=event.object_id, account_id=account_id))
        else:
            return RoutingResult.NOT_OURS
        return RoutingResult.ROUTED

    async def _signal_booking(self, event: StripeEvent, booking_id: UUID) -> RoutingResult:
        handle = self._client.get_workflow_handle(workflow_id(booking_id))
        message = PaymentEvent(event_id=event.id, type=event.type)
        try:
            await handle.signal(BookingWorkflow.payment_event, message, rpc_timeout=ROUTING_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return RoutingResult.CLOSED
            raise
        return RoutingResult.ROUTED

    async def _signal_dispute(self, event: StripeEvent, dispute_id: str) -> None:
        await self._client.start_workflow(
            DisputeWorkflow.run,
            DisputeOrder(dispute_id=dispute_id),
            id=dispute_workflow_id(dispute_id),
            task_queue=self._task_queue,
            start_signal="dispute_event",
            start_signal_args=[DisputeEvent(event_id=event.id, type=event.type)],
            rpc_timeout=ROUTING_TIMEOUT,
        )

    async def _route_refund_event(self, event: StripeEvent) -> RoutingResult:
        """Our own records say whose refund it is, never its metadata, which other programs write as well."""
        async with AsyncSession(self._reader, autoflush=False) as session:
            order = await external_refunds.order_of(session, event)
        if order is None:
            return RoutingResult.NOT_OURS
        await self._signal_refund(event, order)
        await self._signal_holder(event)
        return RoutingResult.ROUTED

    async def _signal_holder(self, event: StripeEvent) -> None:
        """Tell the open booking whose charge is disputed or refunded before it is settled."""
        async with AsyncSession(self._reader, autoflush=False) as session:
            payment = await external_refunds.payment_of(session, event.payment_intent_id)
        is_held = payment is not None and payment.status in (PaymentStatus.PENDING, PaymentStatus.DISPUTED)
        if payment is not None and is_held and payment.plan is PaymentPlan.CHARGE_THEN_TRANSFER:
            await self._signal_booking(event, payment.booking_id)

    async def _route_fraud_warning(self, event: StripeEvent, warning_id: str) -> RoutingResult:
        async with AsyncSession(self._reader, autoflush=False) as session:
            if await external_refunds.payment_of(session, event.payment_intent_id) is None:
                return RoutingResult.NOT_OURS
        order = RefundOrder(refund_id=fraud_refund_id(warning_id), fraud_warning_id=warning_id)
        await self._signal_refund(event, order)
        return RoutingResult.ROUTED

    async def _signal_refund(self, event: StripeEvent, order: RefundOrder) -> None:
        await self._client.start_workflow(
            RefundWorkflow.run,
            order,
            id=refund_workflow_id(order.refund_id),
            task_queue=self._task_queue,
            start_signal="refund_event",
            start_signal_args=[RefundEvent(event_id=event.id, type=event.type)],
            rpc_timeout=ROUTING_TIMEOUT,
        )

    async def _signal_onboarding(self, event: StripeEvent, instructor_id: UUID) -> None:
        await self._client.start_workflow(
            OnboardingWorkflow.run,
            Onboarding(instructor_id=instructor_id),
            id=onboarding_workflow_id(instructor_id),
            task_queue=self._task_queue,
            search_attributes=TypedSearchAttributes([SearchAttributePair(INSTRUCTOR_ID, str(instructor_id))]),
            start_signal="account_event",
            start_signal_args=[AccountEvent(event_id=event.id, type=event.type)],
            rpc_timeout=ROUTING_TIMEOUT,
        )

    async def _signal_payout(self, event: StripeEvent, order: PayoutOrder) -> None:
        await self._client.start_workflow(
            PayoutWorkflow.run,
            order,
            id=payout_workflow_id(order.payout_id),
            task_queue=self._task_queue,
            start_signal="payout_event",
            start_signal_args=[PayoutEvent(event_id=event.id, type=event.type)],
            rpc_timeout=ROUTING_TIMEOUT,
        )

    async def _instructor_with(self, account_id: str) -> UUID | None:
        async with AsyncSession(self._reader, autoflush=False) as session:
            return await stripe_events.instructor_of(session, account_id)
